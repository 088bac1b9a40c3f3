/**
 * `npm run demo`: the invalidation queue of a real guest, replayed through a real socket, once as
 * its CPU would (each wait waited for) and once with 64 calls in flight. Exit code 0 only when
 * every descriptor was answered and ledger, broker, emulator and the guests agree at the end.
 */

import process from 'node:process'
import { startProgress } from './progress.js'
import { openRecording } from './recording.js'
import { runTour } from './tour.js'

const EXIT_DISAGREEMENT = 1
const EXIT_TERMINATED = 143
const EXIT_INTERRUPTED = 130

/** The temporary folder goes when the process exits; a signal alone would not let it. */
process.once('SIGTERM', () => process.exit(EXIT_TERMINATED))
process.once('SIGINT', () => process.exit(EXIT_INTERRUPTED))

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

const { file, isExcerpt, descriptors } = openRecording()
say(`${descriptors.length} descriptors of a Linux guest's VT-d invalidation queue, from ${file}`)
if (isExcerpt) say('(the excerpt that the project carries; the full recording is not here)')
say(
  'The guest used RID_PASID (PASID 0) and four domains. Here each domain has a PASID of the broker\n' +
    'and a first-stage table that the demo makes up, since the recording holds no tables.',
)
const { problems } = await runTour({
  descriptors,
  say,
  watch: (run) => startProgress(run, descriptors.length, process.stdout),
})
for (const problem of problems) say(`PROBLEM: ${problem}`)
say(problems.length === 0 ? 'All agree.' : `${problems.length} problems.`)
process.exit(problems.length === 0 ? 0 : EXIT_DISAGREEMENT)
