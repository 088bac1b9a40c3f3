/**
 * Syncs that fail, made by a shim before libc in a daemon of its own: nobody knows what is on the
 * disk then. No grants meanwhile, the rest is served; when the disk syncs again the daemon is back
 * by itself, and nothing was lost or given that was refused.
 */

import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import {
  OperatorClient,
  PasidClient,
  PasidError,
  type PasidSession,
} from '../../src/client/index.js'
import { startChild, stopAll, temporaryFolder, type ChildDaemon } from '../support/daemon.js'

const ROUNDS = 4
const COMPILER = process.env['CXX'] ?? 'g++'

const SHIM = `
  #include <cerrno>
  #include <cstdlib>
  #include <dlfcn.h>
  #include <unistd.h>
  static bool fails() {
    const char *flag = getenv("FAIL_SYNC");
    return flag != nullptr && access(flag, F_OK) == 0;
  }
  template <typename F> static F next(const char *name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
  }
  extern "C" int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return next<int (*)(int)>("fsync")(fd);
  }
  extern "C" int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return next<int (*)(int)>("fdatasync")(fd);
  }
`

const clients: { close(): void }[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await stopAll()
})

function makeShim(folder: string): string | undefined {
  const [source, shim] = [path.join(folder, 'shim.cpp'), path.join(folder, 'shim.so')]
  writeFileSync(source, SHIM)
  try {
    execFileSync(COMPILER, ['-shared', '-fPIC', '-O1', '-o', shim, source, '-ldl'])
    return shim
  } catch {
    return undefined
  }
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ACCEPTED'
  } catch (error) {
    if (error instanceof PasidError && error.reason !== '') return error.reason
    throw error
  }
}

async function numbersOf(session: PasidSession): Promise<number[]> {
  const { allocations } = await session.listPage('', 5000)
  return allocations.map(({ pasid }) => pasid)
}

async function one(session: PasidSession): Promise<number> {
  const { ranges } = await session.allocatePasids({ one: {} })
  return ranges[0]?.first ?? 0
}

/** What a VM has on a daemon whose syncs fail while the flag is there. */
async function failAndRecover(vm: VmOnFaultyDisk): Promise<void> {
  const { session, held, flag } = vm
  const [bound, idle, more] = [await one(session), await one(session), await one(session)]
  const table = { firstStage: { address: 4096, addressWidth: 48 } }
  await session.bindPasid({ pasid: bound, devices: ['devices/emu0'], domain: 1, ...table })
  await one(session).then((pasid) => held.add(pasid))
  writeFileSync(flag, '')
  expect(await reasonOf(session.allocatePasids({ one: {} }))).toBe('LEDGER_UNAVAILABLE')
  expect(await reasonOf(session.allocatePasids({ block: { size: 8 } }))).toBe('LEDGER_UNAVAILABLE')
  const pasidEntry = { pasid: { pasid: bound }, caches: ['INVALIDATION_CACHE_IOTLB' as const] }
  expect((await session.invalidate([pasidEntry])).done).toBe(1)
  expect(await session.freePasids({ pasids: { pasids: [idle] } })).toMatchObject({
    freed: 1,
    durable: false,
  })
  expect(await session.unbindPasids({ target: { pasid: bound } })).toMatchObject({ unbound: 1 })
  expect(await reasonOf(session.allocatePasids({ one: {} }))).toBe('LEDGER_UNAVAILABLE')
  held.add(bound).add(more)
  expect(await numbersOf(session)).toEqual([...held].sort((a, b) => a - b))
  rmSync(flag)
  // Nobody tells the daemon: it finds out by itself.
  for (;;) {
    const outcome = await reasonOf(one(session).then((pasid) => held.add(pasid)))
    if (outcome === 'ACCEPTED') return
    expect(outcome).toBe('LEDGER_UNAVAILABLE')
  }
}

interface VmOnFaultyDisk {
  readonly session: PasidSession
  readonly held: Set<number>
  readonly flag: string
}

/**
 * Everything that was told stands. A batch of unknown fate may prove written: then what it granted
 * is held although it was refused, and nothing else is.
 */
async function checkAll(daemon: ChildDaemon, { session, held }: VmOnFaultyDisk): Promise<void> {
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  clients.push(operator)
  const { consistent, problems } = await operator.check()
  expect({ consistent, problems }).toEqual({ consistent: true, problems: [] })
  const numbers = await numbersOf(session)
  for (const pasid of held) expect(numbers).toContain(pasid)
  const unknown = numbers.filter((pasid) => !held.has(pasid))
  expect(unknown.length).toBeLessThanOrEqual(1)
  if (unknown.length > 0) await session.freePasids({ pasids: { pasids: unknown } })
}

test('a disk that does not sync: refused, served, and back without help', async (ctx) => {
  const folder = temporaryFolder()
  const shim = makeShim(folder)
  if (shim === undefined) return ctx.skip('there is no C++ compiler to make the shim with')
  const flag = path.join(folder, 'fail')
  const environment = { LD_PRELOAD: shim, FAIL_SYNC: flag }
  const daemon = await startChild({ folder, environment })
  const client = new PasidClient({ socket: daemon.vmmSocket, retry: { attempts: 1 } })
  clients.push(client)
  const session = await client.openSession()
  await session.attachDevice({ device: 'devices/emu0' })
  const vm = { session, held: new Set<number>(), flag }
  for (let round = 0; round < ROUNDS; round += 1) {
    await failAndRecover(vm)
    await checkAll(daemon, vm)
  }
  await daemon.stop('SIGKILL')
  const next = await startChild({ folder, environment })
  const after = new PasidClient({ socket: next.vmmSocket })
  clients.push(after)
  await checkAll(next, { ...vm, session: after.session(session.name, session.token) })
})
