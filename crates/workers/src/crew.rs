//! A coordinator's workers: found, taken, and given back.

use crate::error::WorkersError;
use crate::keeper::Keeper;
use crate::standing::Seat;
use crate::store::Meeting;
use crate::wire::{LEASE, Order};
use crate::worker::not_allowed;
use stamp::{Beat, LogStore, MsgId, RedisUrl, SampleEvery, clock};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a worker that has been taken may take to say so.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(300);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Gathering {
    /// So many.
    pub workers: u32,
    /// How long they are waited for.
    pub within: Duration,
    /// They sample 1 message in so many.
    pub every: SampleEvery,
    /// Their clocks' errors are at most this.
    pub clock_error: Duration,
    /// They may load these, as `scheme://host:port`.
    pub targets: Vec<String>,
}

/// A worker of a crew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// What stands in the ids of its messages. Nobody else of this crew ever has it, nor had it.
    pub number: u16,
    /// Its name in the registry.
    pub instance: String,
    /// Where it runs.
    pub host: String,
    /// Processors that it may use.
    pub cores: Option<u32>,
}

/// Workers that belong to one coordinator until it gives them back, or dies.
#[derive(Debug)]
pub struct Crew {
    pub(crate) coordinator: String,
    pub(crate) meeting: Meeting,
    pub(crate) keeper: Keeper,
    /// One for each seat.
    pub(crate) members: Vec<Member>,
    pub(crate) loads: u64,
    /// Seats whose loss has been told.
    told: Vec<usize>,
    gathering: Gathering,
}

impl Crew {
    /// Finds workers and takes them, all or none; tells who is waited for. `name` is what others see that want them, too.
    ///
    /// # Errors
    /// When too few come in time: it says what is wrong with those that are there.
    pub async fn gather(
        url: &RedisUrl,
        name: &str,
        gathering: &Gathering,
        mut tell: impl AsyncFnMut(&str),
    ) -> Result<Self, WorkersError> {
        let most = MsgId::WORKERS - 1;
        if gathering.workers > most.into() {
            return Err(WorkersError::Many { wanted: gathering.workers, most });
        }
        let coordinator = format!("{name}-{}-{:x}", std::process::id(), clock::unix_now().as_micros());
        let meeting = Meeting(LogStore::connect(url).await?);
        let (begun, mut told, mut dumb) = (clock::now(), String::new(), Vec::new());
        loop {
            let found = look(&meeting, gathering, &dumb).await?;
            let wanted = gathering.workers as usize;
            if found.free.len() >= wanted
                && let Some(members) = take(&meeting, &coordinator, &found.free[..wanted], 0).await?
            {
                let seats = members.iter().map(|member| Seat::new(member.instance.clone(), order(&coordinator)));
                let keeper = Keeper::start(url, &coordinator, seats.collect())?;
                let crew = Self {
                    coordinator: coordinator.clone(),
                    meeting: meeting.clone(),
                    keeper,
                    members,
                    loads: 0,
                    told: Vec::new(),
                    gathering: gathering.clone(),
                };
                let silent = crew.silent().await;
                if silent.is_empty() {
                    return Ok(crew);
                }
                // They are dead, and their last beats are still heard.
                dumb.extend(silent);
                crew.give_back(true).await;
                continue;
            }
            let why = found.why(gathering, &dumb);
            if clock::now().duration_since(begun) >= gathering.within {
                let (wanted, within) = (gathering.workers, gathering.within);
                return Err(WorkersError::Few { wanted, found: found.free.len(), within, why });
            }
            let now = format!("waiting for workers: {} of {wanted} available{why}", found.free.len());
            if now != told {
                tell(&now).await;
                told = now;
            }
            sleep(LOOK).await;
        }
    }

    /// The workers that say nothing, although they have been taken.
    async fn silent(&self) -> Vec<String> {
        let silent = || {
            let seats = self.keeper.seats();
            seats.iter().filter(|seat| seat.line.is_none()).map(|seat| seat.worker.clone()).collect::<Vec<_>>()
        };
        let all_said = async {
            while !silent().is_empty() {
                self.keeper.news().await;
            }
        };
        let _ = timeout(ANSWERS_WITHIN, all_said).await;
        silent()
    }

    /// How many of them are there.
    pub fn there(&self) -> usize {
        self.keeper.seats().iter().filter(|seat| seat.is_there()).count()
    }

    /// Who has been lost since this was asked last, and why.
    pub fn newly_lost(&mut self) -> Vec<String> {
        let seats = self.keeper.seats();
        let lost = seats.iter().enumerate().filter_map(|(at, seat)| Some((at, seat.lost.as_ref()?)));
        let lost: Vec<(usize, String)> = lost
            .filter(|(at, _)| !self.told.contains(at))
            .map(|(at, lost)| (at, format!("worker {}: {}", self.members[at].told(), lost.why)))
            .collect();
        self.told.extend(lost.iter().map(|(at, _)| *at));
        lost.into_iter().map(|(_, told)| told).collect()
    }

    /// Takes others for those that were lost, as far as some are free. They have numbers of their own.
    ///
    /// # Errors
    /// When the log store fails.
    pub async fn refill(&mut self) -> Result<(), WorkersError> {
        let missing = (self.gathering.workers as usize).saturating_sub(self.there());
        if missing == 0 {
            return Ok(());
        }
        let there: Vec<String> = {
            let seats = self.keeper.seats();
            seats.iter().filter(|seat| seat.is_there()).map(|seat| seat.worker.clone()).collect()
        };
        let found = look(&self.meeting, &self.gathering, &there).await?;
        for beat in found.free.iter().take(missing) {
            let taken = take(&self.meeting, &self.coordinator, std::slice::from_ref(beat), self.members.len()).await?;
            for member in taken.into_iter().flatten() {
                self.keeper.seats().push(Seat::new(member.instance.clone(), order(&self.coordinator)));
                self.members.push(member);
            }
        }
        Ok(())
    }

    /// Gives all workers back.
    pub async fn release(self) {
        let (meeting, coordinator, loads) = (self.meeting.clone(), self.coordinator.clone(), self.loads);
        self.give_back(false).await;
        let _ = timeout(LEASE, meeting.forget(&coordinator, loads)).await;
    }

    async fn give_back(self, unused: bool) {
        let seats: Vec<String> = {
            let seats = self.keeper.seats();
            seats.iter().filter(|seat| seat.is_there()).map(|seat| seat.worker.clone()).collect()
        };
        drop(self.keeper);
        let released = Order { released: true, unused, ..order(&self.coordinator) };
        let orders: Vec<(String, Order)> = seats.into_iter().map(|worker| (worker, released.clone())).collect();
        // Who does not hear of it is free when its lease has ended.
        let _ = timeout(LEASE, self.meeting.write_all(&orders, LEASE)).await;
    }
}

pub(crate) fn order(coordinator: &str) -> Order {
    Order { coordinator: coordinator.to_owned(), released: false, unused: false, task: None }
}

/// Takes these workers, all or none.
async fn take(
    meeting: &Meeting,
    coordinator: &str,
    beats: &[Beat],
    before: usize,
) -> Result<Option<Vec<Member>>, WorkersError> {
    let mut members = Vec::new();
    for (index, beat) in beats.iter().enumerate() {
        let number = u16::try_from(before + index + 1).ok().filter(|number| *number < MsgId::WORKERS);
        let Some(number) = number else { return Ok(None) };
        if !meeting.claim(&beat.instance, &order(coordinator), LEASE).await? {
            let released = Order { released: true, unused: true, ..order(coordinator) };
            for Member { instance, .. } in &members {
                meeting.claim(instance, &released, LEASE).await?;
            }
            return Ok(None);
        }
        let (instance, host) = (beat.instance.clone(), beat.host.clone());
        members.push(Member { number, instance, host, cores: beat.cores });
    }
    Ok(Some(members))
}

/// Who is there.
struct Found {
    free: Vec<Beat>,
    /// Others, and what is wrong with them.
    others: Vec<String>,
}

async fn look(meeting: &Meeting, gathering: &Gathering, ours: &[String]) -> Result<Found, WorkersError> {
    let mut beats = meeting.0.services().await?;
    beats.retain(|beat| beat.service == crate::worker::SERVICE);
    beats.retain(|beat| !ours.contains(&beat.instance));
    let names: Vec<String> = beats.iter().map(|beat| beat.instance.clone()).collect();
    let holders = meeting.holders(&names).await?;
    let (mut free, mut others) = (Vec::new(), Vec::new());
    for (beat, holder) in beats.into_iter().zip(holders) {
        match unfit(&beat, gathering).or(holder.map(|holder| format!("is at work for {holder}"))) {
            None => free.push(beat),
            Some(why) => others.push(format!("{} on {} {why}", beat.instance, beat.host)),
        }
    }
    Ok(Found { free, others })
}

/// Why a worker cannot be taken; nothing where it can.
fn unfit(beat: &Beat, gathering: &Gathering) -> Option<String> {
    let (ours, most_us) = (env!("CARGO_PKG_VERSION"), gathering.clock_error.as_micros());
    if beat.version != ours {
        return Some(format!("has version {}, and this is {ours}: run the same version", beat.version));
    }
    if beat.every != gathering.every.get() {
        let (theirs, ours) = (beat.every, gathering.every);
        return Some(format!("samples 1 in {theirs}, and this load 1 in {ours}: give both the same --every"));
    }
    if let Some(why) = not_allowed(&gathering.targets, &beat.loads) {
        return Some(why);
    }
    match beat.clock {
        None => Some("does not know the log store's clock yet".to_owned()),
        Some(clock) if u128::from(clock.error_us) > most_us => Some(format!(
            "knows the log store's clock to {} µs only, and {most_us} µs are asked for: bring it nearer, or allow more with --worker-clock-error",
            clock.error_us
        )),
        Some(_) => None,
    }
}

impl Found {
    /// What is wrong with those that cannot be had, and what to do.
    fn why(&self, gathering: &Gathering, silent: &[String]) -> String {
        /// What is told of, at the most.
        const MOST: usize = 5;
        let silent = silent.iter().map(|worker| format!("{worker} was taken, and says nothing"));
        let others: Vec<String> = self.others.iter().cloned().chain(silent).collect();
        let mut why: Vec<String> = others.iter().take(MOST).cloned().collect();
        if others.len() > MOST {
            why.push(format!("and {} others", others.len() - MOST));
        }
        if self.others.len() + self.free.len() < gathering.workers as usize {
            why.push("start more with `driver worker`".to_owned());
        }
        if why.is_empty() { String::new() } else { format!("; {}", why.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::BeatClock;

    #[test]
    fn who_does_not_fit_is_told_why() {
        let gathering = Gathering {
            workers: 2,
            within: Duration::ZERO,
            every: SampleEvery::default(),
            clock_error: Duration::from_millis(1),
            targets: vec!["http://a:80".to_owned()],
        };
        let clock = BeatClock { error_us: 40, host_offset_us: 0, drift_ppm: 0.0, steps: 0 };
        let fits = Beat {
            service: "worker".to_owned(),
            instance: "w".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: "h".to_owned(),
            every: 100,
            clock: Some(clock),
            loads: vec!["http://a:80".to_owned(), "http://b:80".to_owned()],
            ..Beat::default()
        };
        assert_eq!(unfit(&fits, &gathering), None);
        let late = BeatClock { error_us: 12_345, ..clock };
        for (beat, why) in [
            (Beat { version: "0.0.9".to_owned(), ..fits.clone() }, "has version 0.0.9"),
            (Beat { every: 10, ..fits.clone() }, "samples 1 in 10, and this load 1 in 100"),
            (Beat { clock: None, ..fits.clone() }, "does not know"),
            (Beat { loads: Vec::new(), ..fits.clone() }, "may load nothing, and not http://a:80: start it with"),
            (Beat { clock: Some(late), ..fits.clone() }, "to 12345 µs only, and 1000 µs are asked for"),
        ] {
            assert!(unfit(&beat, &gathering).unwrap().contains(why), "{why}");
        }
    }
}
