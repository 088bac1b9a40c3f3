/**
 * `npm run test:kernel [-- vitest arguments]`: the tests of test/kernel/guest/ in a virtual machine
 * with a kernel of our own choice, its mock IOMMU devices, and a real Intel IOMMU driver. What the
 * machine is made of, and how to debug in it: docs/KERNEL_TESTING.md.
 */
import '../../scripts/setup/require-node.mjs'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { printSummary, runVitest } from '../../scripts/lib/summary.mjs'
import { SetupFailure } from '../../scripts/setup/npm.mjs'
import { setup } from '../../scripts/setup.mjs'
import { TIERS } from '../../scripts/tiers.mjs'
import { findImage } from './image/find.mjs'
import { startMachine } from './vm/machine.mjs'
import { Unavailable, needPrograms } from './packages.mjs'

const CONSOLE_LINES = 60
/** The project whose tests need the machine. */
const IN_MACHINE = 'kernel'
/** What a run says in which every test was skipped (scripts/lib/summary.mjs). */
const NO_TEST = 'no test ran'
/** Of our environment, what tests in the guest may go by. */
const PASSED_ON = ['SEED', 'OPS']
/** A machine whose worker has nothing more to do ends within this. */
const END_MS = 20_000

/** The tests in a machine; without one that starts, its problems are all there is. */
async function runInMachine(image, args) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-kernel-'))
  const { timeoutMs } = TIERS.kernel
  const passedOn = PASSED_ON.filter((name) => process.env[name] !== undefined)
  const environment = Object.fromEntries(passedOn.map((name) => [name, process.env[name]]))
  try {
    const machine = await startMachine({
      image,
      folder,
      environment,
      timeoutMs: timeoutMs + END_MS,
    })
    process.env.PASIDD_GUEST = machine.socket
    const { summary } = machine.isReady
      ? await runVitest({ ...TIERS.kernel, args })
      : { summary: { passed: 0, failed: 0, skipped: [], failures: [] } }
    const { problems, console } = await machine.end(END_MS)
    summary.failed += problems.length
    summary.failures.push(...problems)
    if (summary.failed > 0) {
      const last = console.trimEnd().split('\n').slice(-CONSOLE_LINES).join('\n')
      process.stdout.write(`\nThe last that the machine said:\n${last}\n`)
    }
    return summary
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Without a machine: what the host can do alone, and why that is all. */
async function runOnHost(reason, args) {
  const projects = TIERS.kernel.projects.filter((project) => project !== IN_MACHINE)
  const { summary } = await runVitest({ ...TIERS.kernel, projects, args })
  // Those can all be skipped as well, each with its reason.
  if (summary.skipped.length > 0) {
    summary.failures = summary.failures.filter((failure) => failure !== NO_TEST)
    summary.failed = summary.failures.length
  }
  summary.skipped.push({ name: 'test:kernel', reason })
  return summary
}

async function main(args) {
  await setup()
  try {
    await needPrograms()
    return await runInMachine(await findImage(), args)
  } catch (error) {
    if (error instanceof Unavailable) return runOnHost(error.message, args)
    if (!(error instanceof SetupFailure)) throw error
    return { passed: 0, failed: 1, skipped: [], failures: [error.message] }
  }
}

const summary = await main(process.argv.slice(2))
printSummary(summary)
process.exitCode = summary.failed === 0 ? 0 : 1
