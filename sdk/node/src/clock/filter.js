/**
 * The clock filter: from probes to Redis time and a bound of its error. Pure; it knows no socket and no clock.
 *
 * It is that of crates/stamp/src/clock/filter.rs, and docs/method.md has the method, the assumptions and the sources. Redis
 * times are told in ns since the first probe's: since 1970 they would exceed 2^53, up to which a number is exact.
 */

/** How long a probe stays in the window, ns. */
const WINDOW_NS = 30e9;
/** The largest drift between two clocks that has to be reckoned with while it is not known, as a ratio. */
const UNKNOWN_DRIFT = 200e-6;
/** How far the drift may wander in the time of one window, as a ratio. */
const WANDER = 2e-6;
/** The fastest change that is still the work of a clock discipline, as a ratio: a faster one is a step. */
const FASTEST_SLEW = 1000e-6;
/** The shortest time between two probes that tell the drift, ns. */
const DRIFT_BASE_NS = 1e9;

/**
 * Redis time as a linear function of local time. `offsetNs` is Redis time, in ns since the first probe's, less local time;
 * `drift` is how much faster the Redis clock runs, as a ratio.
 *
 * @typedef {{ atNs: number, offsetNs: number, errorNs: number, drift: number, driftError: number }} Line
 */

/** Redis time at a local time, in ns since the first probe's, and the bound of its error. */
export function redisNs(line, localNs) {
  const since = localNs - line.atNs;
  return {
    ns: localNs + line.offsetNs + round(line.drift * since),
    errorNs: line.errorNs + round(Math.abs(line.driftError * since)),
  };
}

export class Filter {
  /** What Redis said first, µs since 1970. */
  originUs = undefined;
  /** @type {Line | undefined} nothing before the first probe */
  line = undefined;
  /** How often the Redis clock has been set. */
  steps = 0;
  #window = [];
  /** The best that is known about the drift: it outlives the probes that told it, but grows less certain. */
  #rate = undefined;

  /**
   * Takes in one reading of Redis `TIME` between two of the local clock. Probes come in the order of `sentNs`.
   *
   * @returns {{ sizeUs: number, errorUs: number } | undefined} how far the Redis clock was set, where this probe shows it
   */
  add(sentNs, receivedNs, redisUs) {
    this.originUs ??= redisUs;
    const bounds = boundsOf(sentNs, receivedNs, (redisUs - this.originUs) * 1000);
    const { agrees, step } = this.#judge(bounds);
    if (!agrees) {
      this.#window = [];
      this.#rate = undefined;
    }
    if (step !== undefined) this.steps += 1;
    this.#window.push(bounds);
    while (bounds.atNs - this.#window[0].atNs > WINDOW_NS) this.#window.shift();
    this.line = this.#fit(bounds.atNs);
    return step;
  }

  #judge(bounds) {
    if (this.line === undefined) return { agrees: true };
    const { ns, errorNs } = redisNs(this.line, bounds.atNs);
    const expected = ns - bounds.atNs;
    const gap = Math.max(bounds.lowNs - (expected + errorNs), expected - errorNs - bounds.highNs);
    if (gap <= 0) return { agrees: true };
    const newest = this.#window[this.#window.length - 1];
    if (gap <= FASTEST_SLEW * (bounds.atNs - newest.atNs)) return { agrees: false };
    const errorUs = Math.trunc((errorNs + Math.trunc(widthNs(bounds) / 2)) / 1000) + 2;
    return { agrees: false, step: { sizeUs: Math.trunc((middleNs(bounds) - expected) / 1000), errorUs } };
  }

  /**
   * The line at the newest probe. Where the drift has changed too much for all probes to agree, the older half goes, until
   * the rest agrees; one probe always does.
   */
  #fit(atNs) {
    for (;;) {
      const { drift, error: driftError } = this.#drift(atNs);
      let lowNs = -Infinity;
      let highNs = Infinity;
      for (const bounds of this.#window) {
        const age = atNs - bounds.atNs;
        lowNs = Math.max(lowNs, bounds.lowNs + round((drift - driftError) * age));
        highNs = Math.min(highNs, bounds.highNs + round((drift + driftError) * age));
      }
      if (lowNs <= highNs) {
        const half = Math.trunc((highNs - lowNs) / 2);
        return { atNs, offsetNs: lowNs + half, errorNs: half + 1, drift, driftError };
      }
      this.#window.splice(0, Math.ceil(this.#window.length / 2));
      this.#rate = undefined;
    }
  }

  /**
   * The drift and the bound of its error: what the window tells, or what an earlier one told where that is still the more
   * certain, as while all probes are slow.
   */
  #drift(nowNs) {
    const aged = (rate) => rate.error + (WANDER * (nowNs - rate.atNs)) / WINDOW_NS;
    const told = this.#rateOfWindow(nowNs);
    if (told !== undefined && (this.#rate === undefined || told.error <= aged(this.#rate))) this.#rate = told;
    if (this.#rate !== undefined && aged(this.#rate) < UNKNOWN_DRIFT) {
      return { drift: this.#rate.drift, error: aged(this.#rate) };
    }
    return { drift: 0, error: UNKNOWN_DRIFT };
  }

  /** The drift from the narrowest probe of each half of the window. */
  #rateOfWindow(nowNs) {
    const window = this.#window;
    const [oldest, newest] = [window[0], window[window.length - 1]];
    const middle = oldest.atNs + Math.trunc((newest.atNs - oldest.atNs) / 2);
    let older;
    let newer;
    for (const bounds of window) {
      if (bounds.atNs > middle) {
        if (newer === undefined || widthNs(bounds) < widthNs(newer)) newer = bounds;
      } else if (older === undefined || widthNs(bounds) < widthNs(older)) {
        older = bounds;
      }
    }
    if (older === undefined || newer === undefined) return undefined;
    const between = newer.atNs - older.atNs;
    if (between < DRIFT_BASE_NS) return undefined;
    const drift = (middleNs(newer) - middleNs(older)) / between;
    return { drift, error: (widthNs(newer) + widthNs(older)) / 2 / between + WANDER, atNs: nowNs };
  }
}

/** The interval in which one probe has found the offset. */
function boundsOf(sentNs, receivedNs, redis) {
  const roundTrip = receivedNs - sentNs;
  // TIME is cut to whole microseconds: Redis read it up to 1 µs after what it says. And while the probe was under way the
  // clocks drifted apart.
  const drifted = round(UNKNOWN_DRIFT * roundTrip);
  return {
    atNs: sentNs + Math.trunc(roundTrip / 2),
    lowNs: redis - receivedNs - drifted,
    highNs: redis + 1000 - sentNs + drifted,
  };
}

const widthNs = (bounds) => bounds.highNs - bounds.lowNs;
const middleNs = (bounds) => bounds.lowNs + Math.trunc(widthNs(bounds) / 2);

/** To whole nanoseconds, halves away from zero. */
function round(ns) {
  return ns < 0 ? -Math.round(-ns) : Math.round(ns);
}
