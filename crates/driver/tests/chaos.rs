//! A handful of faults: whatever was answered 202 arrives.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::chaos;

#[test]
fn nothing_accepted_is_lost_whichever_part_is_killed() {
    for (queue, seed) in [("list", "3"), ("stream", "5")] {
        let (figures, output) = chaos(&format!("--faults 5 --rate 200 --queue {queue} --seed {seed}"));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(figures["kills"] + figures["stops"], 5, "{queue}: {figures:?}");
        assert!(figures["kills"] >= 2, "{queue}: {figures:?}");
        assert!(figures["accepted"] > 100, "{queue}: {figures:?}");
        assert_eq!((figures["arrived"], figures["lost"]), (figures["accepted"], 0), "{queue}: {figures:?}");
    }
}
