/** What a process tells about itself once a second, so that anybody can see which services are there. */

import os from 'node:os';
import { CLOCK_STEPS } from './scale.js';

export const BEAT_EVERY_MS = 1000;
/** How long a beat is heard, seconds. */
const HEARD_FOR = 5;

export const beatKey = ({ service, instance }) => `trace:service:${service}:${instance}`;

/**
 * The commands that beat, and that keep the list of clock steps alive: its length numbers the time scales, so that it must not
 * expire while a process remembers it.
 */
export function beatCommands(settings, names, clock) {
  const beat = {
    service: settings.service,
    instance: settings.instance,
    version: settings.version,
    host: os.hostname(),
    pid: process.pid,
    every: settings.every,
    stages: names.filter(({ isStage }) => isStage).map(({ text }) => text),
    clock: clock ?? null,
    cpu_us: cpuUs(),
    memory_bytes: process.memoryUsage.rss(),
    cores: os.availableParallelism?.() ?? os.cpus().length,
  };
  return [
    ['SET', beatKey(settings), JSON.stringify(beat), 'EX', String(HEARD_FOR)],
    ['EXPIRE', CLOCK_STEPS, String(settings.timeToLive)],
  ];
}

/** What is known about the log store's clock, as a beat tells it. `now` is Redis time at this moment. */
export function beatClock(state, now) {
  return {
    error_us: now.errorUs,
    host_offset_us: Math.round(hostUs() - now.us),
    drift_ppm: state.drift * 1e6,
    steps: state.steps,
  };
}

/**
 * The host's wall clock, µs since 1970. Date.now() has whole milliseconds; the time since the start of the process has
 * microseconds, but does not notice when the clock is set.
 */
function hostUs() {
  const since = (performance.timeOrigin + performance.now()) * 1000;
  const whole = Date.now() * 1000;
  return since >= whole - 1000 && since < whole + 2000 ? since : whole + 500;
}

function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}
