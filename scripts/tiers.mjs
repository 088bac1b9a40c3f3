/**
 * What runs when. A vitest project is a folder of test/; a tier is a set of them with a time it may
 * take, less than what `.ci/run` gives it, so that a run out of time still tells what it found.
 */
const MINUTE = 60_000

/** @type {Record<string, { projects: string[], timeoutMs: number }>} */
export const TIERS = {
  quick: { projects: ['tidy', 'unit', 'contract'], timeoutMs: 3 * MINUTE },
  test: {
    projects: ['tidy', 'unit', 'contract', 'conformance', 'property', 'sim', 'integration'],
    timeoutMs: 12 * MINUTE,
  },
  crash: { projects: ['crash'], timeoutMs: 5 * MINUTE },
  scale: { projects: ['scale'], timeoutMs: 5 * MINUTE },
  adversary: { projects: ['adversary'], timeoutMs: 6 * MINUTE },
  emulator: { projects: ['emulator'], timeoutMs: 5 * MINUTE },
  interop: { projects: ['interop'], timeoutMs: 7 * MINUTE },
  // The first in a virtual machine: `npm run test:kernel` starts it.
  kernel: { projects: ['kernel', 'kernel/layouts'], timeoutMs: 8 * MINUTE },
}
