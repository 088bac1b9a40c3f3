/**
 * The proof run, `npm run proof`: the tests whose size is a matter of time, at full size, one after
 * the other, with the figures they print. A thousand rounds of kill -9 take about half an hour.
 * `--smoke` runs the same at a size for every day. The last line is `N passed, N failed`.
 */

import { spawn } from 'node:child_process'
import process from 'node:process'

interface Proof {
  readonly what: string
  readonly project: string
  /** Or a folder. */
  readonly file: string
  readonly full: NodeJS.ProcessEnv
  readonly smoke: NodeJS.ProcessEnv
}

const PROOFS: readonly Proof[] = [
  {
    what: 'killed at random moments, nothing acknowledged is lost',
    project: 'crash',
    file: 'test/crash/kill9.test.ts',
    full: { ROUNDS: '1000' },
    smoke: { ROUNDS: '10' },
  },
  {
    what: 'the whole HOST namespace through the socket',
    project: 'scale',
    file: 'test/scale/namespace.test.ts',
    full: { SCALE: 'full' },
    smoke: {},
  },
  {
    what: 'a tenant that churns does not make another fail',
    project: 'scale',
    file: 'test/scale/fairness.test.ts',
    full: { SCALE: 'full' },
    smoke: {},
  },
  {
    what: 'a million bindings of a thousand owners that are killed at once',
    project: 'scale',
    file: 'test/scale/reclaim-owners.test.ts',
    full: { SCALE: 'full' },
    smoke: {},
  },
  {
    what: 'sixty-four clients race at a limit',
    project: 'adversary',
    file: 'test/adversary/quota-race.test.ts',
    full: { ROUNDS: '10000' },
    smoke: {},
  },
  {
    what: 'random traces of an IOMMU, a million with every invalidation; structures by chance',
    project: 'emulator',
    file: 'test/emulator/',
    full: { TRACES: 'full', FUZZ: '10000000' },
    smoke: { TRACES: '20000', FUZZ: '1000000' },
  },
  {
    what: 'what the hardware sees when owners die',
    project: 'scale',
    file: 'test/scale/reclaim-order.test.ts',
    full: {},
    smoke: {},
  },
  {
    what: 'sweeps over a full namespace of ten thousand owners',
    project: 'scale',
    file: 'test/scale/reclaim-sweep.test.ts',
    full: { SCALE: 'full' },
    smoke: {},
  },
  {
    what: 'a restart with ten thousand sessions, half of whose owners died',
    project: 'scale',
    file: 'test/scale/restart-owners.test.ts',
    full: { SCALE: 'full' },
    smoke: {},
  },
]

/** Runs one of them with its output shown; true when it passed. */
function prove({ project, file }: Proof, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', project, file]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  })
  const end = (): void => void child.kill('SIGTERM')
  process.once('SIGTERM', end)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      process.off('SIGTERM', end)
      resolve(code === 0)
    })
  })
}

const smoke = process.argv.includes('--smoke')
let [passed, failed] = [0, 0]
for (const proof of PROOFS) {
  process.stdout.write(`\n== ${proof.what}\n`)
  const began = performance.now()
  const proved = await prove(proof, smoke ? proof.smoke : proof.full)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  process.stdout.write(`== ${proved ? 'proved' : 'FAILED'} in ${seconds} s\n`)
  if (proved) passed += 1
  else failed += 1
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
