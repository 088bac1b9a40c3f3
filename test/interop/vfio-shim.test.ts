/**
 * A C program that knows only the headers of 2020, unmodified, under the LD_PRELOAD shim of
 * examples/ against a daemon: it does everything, provokes every error, and leaves nothing behind
 * however it ends. What the shim must not touch stays the kernel's.
 */
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, beforeAll, describe, expect, test, vi, type TestContext } from 'vitest'
import { OperatorClient } from '../../src/client/index.js'
import { spawnDaemon, startChild, stopAll, type ChildDaemon } from '../support/daemon.js'
import type { Client } from './languages.js'
import { ClientProcess, endProcesses } from './processes.js'
import { cached, needHttp2Packages, run, Unavailable } from './toolchains.js'

const SHIM = path.resolve(import.meta.dirname, '../../examples/vfio-shim')
const PROGRAM = path.join(import.meta.dirname, 'vfio-2020')
const RECLAIM_MS = 20_000
/** Long, so that nothing comes back by the way. */
const TOML = '[namespace]\nhold = "1m"\n[[backend.device]]\nname = "mdev0"\nshared = true\n'

let built: Promise<{ readonly program: string; readonly shim: string }>

async function build() {
  await needHttp2Packages()
  const compiler = await run(['cc', '--version'])
  const make = (sources: string) => {
    return cached(path.basename(sources), [compiler, sources], async (fresh) => {
      await run(['make', '-B', `BUILD=${fresh}`], { cwd: sources })
    })
  }
  const [program, shim] = [await make(PROGRAM), await make(SHIM)]
  return {
    program: path.join(program, 'vfio-2020'),
    shim: path.join(shim, 'libvfio-shim.so'),
  }
}

beforeAll(() => {
  built = build()
  // Each test says it.
  built.catch(() => undefined)
})

afterEach(async () => {
  await endProcesses()
  await stopAll()
})

/** The program under the shim; the test is skipped when this machine cannot build them. */
async function programFor(context: TestContext, env: NodeJS.ProcessEnv): Promise<Client> {
  const { program, shim } = await built.catch((error: unknown) => {
    if (error instanceof Unavailable) return context.skip(error.message)
    throw error
  })
  const settings = { LD_PRELOAD: shim, PASIDD_DEVICES: 'mdev0', ...env }
  return { command: [program], env: settings, files: [] }
}

function stepsOf({ steps }: ClientProcess): readonly unknown[] {
  return steps.map(({ step }) => step)
}

async function overview(daemon: ChildDaemon) {
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  try {
    const namespace = await operator.getNamespace()
    let sessions = 0
    for await (const page of operator.sessions()) sessions += page.length
    const { consistent } = await operator.check()
    return { sessions, held: namespace.held, pending: namespace.freePending, consistent }
  } finally {
    operator.close()
  }
}

const NOTHING = { sessions: 0, held: 0, pending: 0, consistent: true }

describe('a program of 2020, unmodified', () => {
  const PARTS = ['allocate', 'bind', 'invalidate', 'unbind', 'free', 'close']
  test.for<readonly [string, readonly string[]]>([
    ['v7', ['info', ...PARTS]],
    ['v1', PARTS],
    ['provoke', ['memory', 'read-only', 'arguments', 'tables', 'no-nesting']],
    ['others', ['others']],
    ['lives', ['lives']],
    ['threads', ['threads']],
    ['quota', ['quota']],
  ])('does all of %s, and leaves nothing', async ([scenario, steps], context) => {
    const daemon = await startChild({ toml: TOML })
    const program = await programFor(context, { PASIDD_SOCKET: daemon.vmmSocket })
    const process = new ClientProcess(program, [scenario])
    process.endInput()
    expect(await process.ended).toEqual({ code: 0, problem: '' })
    expect(stepsOf(process)).toEqual(steps)
    await vi.waitFor(async () => expect(await overview(daemon)).toEqual(NOTHING), RECLAIM_MS)
  })

  test('that is killed leaves nothing either', async (context) => {
    const daemon = await startChild({ toml: TOML })
    const program = await programFor(context, { PASIDD_SOCKET: daemon.vmmSocket })
    const process = new ClientProcess(program, ['hold'])
    await process.saw('hold')
    expect(await overview(daemon)).toEqual({ ...NOTHING, sessions: 1, held: 8 })
    process.kill()
    await process.ended
    await vi.waitFor(async () => expect(await overview(daemon)).toEqual(NOTHING), RECLAIM_MS)
  })

  test('goes on with all it has when the daemon has been restarted', async (context) => {
    const first = await startChild({ toml: TOML })
    const program = await programFor(context, { PASIDD_SOCKET: first.vmmSocket })
    const process = new ClientProcess(program, ['pause'])
    await process.saw('pause')
    await first.stop()
    const second = spawnDaemon({ folder: first.folder, toml: TOML })
    await second.ready()
    expect(await overview(second)).toEqual({ ...NOTHING, sessions: 1, held: 1 })
    process.endInput()
    expect(await process.ended).toEqual({ code: 0, problem: '' })
    await vi.waitFor(async () => expect(await overview(second)).toEqual(NOTHING), RECLAIM_MS)
  })
})

describe('the shim', () => {
  test('without PASIDD_SOCKET is as if it were not there', async (context) => {
    if (fs.existsSync('/dev/vfio/vfio')) context.skip('this machine has a VFIO of its own')
    const program = await programFor(context, {})
    const process = new ClientProcess(program, ['v7'])
    const { code, problem } = await process.ended
    expect(code).toBe(1)
    expect(problem).toContain('fd >= 0 (errno 2,')
  })

  test('says what connecting says where no daemon listens', async (context) => {
    const program = await programFor(context, { PASIDD_SOCKET: '/nowhere/pasid.sock' })
    const process = new ClientProcess(program, ['v7'])
    expect((await process.ended).problem).toContain('errno 2,')
  })

  test('fails to open a container of a device that is not there', async (context) => {
    const daemon = await startChild({ toml: TOML })
    const env = { PASIDD_SOCKET: daemon.vmmSocket, PASIDD_DEVICES: 'nothing' }
    const process = new ClientProcess(await programFor(context, env), ['v7'])
    // ENODEV.
    expect((await process.ended).problem).toContain('errno 19,')
    expect(await overview(daemon)).toEqual(NOTHING)
  })
})
