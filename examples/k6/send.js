// Load from k6 that Stampede reports: each message carries an id of its own and the run that `driver watch` waits for.
//
//     driver watch --run monday &
//     k6 run -e STAMPEDE_RUN=monday -e API=http://127.0.0.1:PORT --vus 50 --duration 30s send.js
//
// Ids are unique over virtual users: each takes a range of its own. 1 message in N is stamped (id % N === 0), so that ids are dealt
// one after another and not at random. They stay below 2^53, as JavaScript's numbers must.
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';

const run = __ENV.STAMPEDE_RUN || 'monday';
const api = __ENV.API || 'http://127.0.0.1:8080';

export const options = { thresholds: { checks: ['rate==1'] } };

export default function () {
  const first = (exec.vu.idInTest % 2 ** 21) * 2 ** 32;
  const body = JSON.stringify({ id: first + exec.vu.iterationInScenario, run, data: 'x'.repeat(64) });
  const answer = http.post(`${api}/adapter2/poweron/44300`, body, { headers: { 'Content-Type': 'application/json' } });
  check(answer, { accepted: (response) => response.status === 202 });
}
