/**
 * One vitest project a kind of test: the folder decides. Which tier runs what is in
 * scripts/tiers.mjs.
 */
import os from 'node:os'
import { defineConfig } from 'vitest/config'
import { guestPool } from './test/kernel/pool.js'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** How long one test may take, by kind. Heavy kinds run their files one after the other. */
const KINDS = {
  tidy: { timeout: 30 * SECOND, alone: false },
  unit: { timeout: 10 * SECOND, alone: false },
  contract: { timeout: 30 * SECOND, alone: false },
  property: { timeout: 60 * SECOND, alone: false },
  conformance: { timeout: 30 * SECOND, alone: false },
  sim: { timeout: 2 * MINUTE, alone: false },
  integration: { timeout: 60 * SECOND, alone: false },
  crash: { timeout: 10 * MINUTE, alone: true },
  scale: { timeout: 10 * MINUTE, alone: true },
  adversary: { timeout: 5 * MINUTE, alone: true },
  // Millions of random cases: its files share the cores.
  emulator: { timeout: 10 * MINUTE, alone: false },
  interop: { timeout: 5 * MINUTE, alone: true },
  'kernel/layouts': { timeout: 2 * MINUTE, alone: true },
}

/** Tests of test/kernel/guest/: in one worker, in a virtual machine that emulates its processors. */
const IN_A_MACHINE = {
  extends: true as const,
  test: {
    name: 'kernel',
    include: ['test/kernel/guest/**/*.test.ts'],
    environment: 'node',
    testTimeout: 2 * MINUTE,
    hookTimeout: 2 * MINUTE,
    expect: { poll: { timeout: 20 * SECOND } },
    fileParallelism: false,
    isolate: false,
    pool: guestPool,
  },
}

export default defineConfig({
  test: {
    pool: 'forks',
    // One less than there are, unless told: on two cores that is half the machine.
    maxWorkers: os.availableParallelism(),
    projects: [
      IN_A_MACHINE,
      ...Object.entries(KINDS).map(([name, { timeout, alone }]) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          environment: 'node',
          testTimeout: timeout,
          hookTimeout: timeout,
          // Of its own it gives up after a second, which a busy machine may need.
          expect: { poll: { timeout: Math.min(20 * SECOND, timeout / 2) } },
          fileParallelism: !alone,
        },
      })),
    ],
  },
})
