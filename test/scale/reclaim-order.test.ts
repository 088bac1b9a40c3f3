/**
 * What the hardware sees when owners die: teardown in order to the single store, no number written
 * again before it has rested, and no translation of the dead served to whoever comes after. Also
 * when a child of the dead one still holds its connection.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { PasidClient, PasidError, type PasidSession } from '../../src/client/index.js'
import { target, type Target } from '../../src/core/ids.js'
import {
  type InProcessDaemon,
  startInProcess,
  stopAll,
  temporaryFolder,
} from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML, DEVICE, type Vm } from '../support/delegate.js'
import { Guest, GuestTables } from '../support/emulator-guest.js'
import { Living } from '../support/owners-living.js'
import { OrderWitness } from '../support/owners-order.js'
import { compile, NO_COMPILER, Nursery, stopNurseries } from '../support/owners.js'

/** In all as many as the emulator's PASID cache has places for: everything of theirs is cached. */
const OWNERS = 64
const EACH = 16
const HOLD_MS = 300
const FIRST = 256
const DEAD = OWNERS * EACH
const KEPT = 16
/** Of what is wrong. */
const SHOWN = 10
/** The table that all bindings have maps this page; to which frame says whose it is. */
const PAGE = 5
const GUEST_BYTES = 2 ** 30
const TOML =
  `${DELEGATE_TOML}[namespace]\nhold = "${HOLD_MS}ms"\nsession_max_pasids = ${DEAD}\n` +
  `[reclaim]\nsweep_interval = "1h"\n`

const clients: { close(): void }[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of clients.splice(0)) client.close()
  stopNurseries()
  for (const { stdio } of children.splice(0)) for (const pipe of stdio) pipe?.destroy()
  await stopAll()
})

/** A guest whose table, at the address that the delegate binds, maps the page to the frame. */
function guestWith(frame: number): Guest {
  const guest = new Guest(GUEST_BYTES, 4096)
  const tables = new GuestTables(guest)
  if (tables.root !== 4096) throw new Error(`the table is at ${tables.root}`)
  tables.map(PAGE, { frame, order: 0, writable: true, user: true })
  return guest
}

function setMemory(daemon: InProcessDaemon, name: string, frame: number): void {
  for (const { record } of daemon.broker.state.sessions.values()) {
    if (`sessions/${record.name}` !== name) continue
    daemon.backend.setGuestMemory(record.id, guestWith(frame).memory)
    return
  }
  throw new Error(`${name} is no session`)
}

/** What a device's request with that number meets now: a frame and who knew, or a fault. */
function asked(daemon: InProcessDaemon, pasid: Target): string {
  const access = { target: pasid, address: BigInt(PAGE) << 12n, write: false, privileged: false }
  const { outcome, source } = daemon.backend.translate('emu0', access)
  if (outcome.kind === 'FAULT') return outcome.fault
  // A guest's memory is at a multiple of its size.
  return `${(outcome.address % GUEST_BYTES) / 4096} ${source}`
}

/** Entries by cache. */
function fillsOf(backend: InProcessDaemon['backend']): Readonly<Record<string, number>> {
  return Object.fromEntries(backend.cacheSizes().map(({ name, entries }) => [name, entries]))
}

/** Every number of the dead: what it answers, each answer once. */
function answers(daemon: InProcessDaemon): string[] {
  const all = new Set<string>()
  for (let at = 0; at < DEAD; at += 1) all.add(asked(daemon, target(FIRST + at)))
  return [...all].sort()
}

/** Everything of theirs is in the unit's caches. */
function fillCaches(daemon: InProcessDaemon, vms: readonly Vm[]): void {
  for (const [at, { name }] of vms.entries()) setMemory(daemon, name, 1000 + at)
  const frames = vms.map((_, at) => `${1000 + at} TABLES`)
  expect(answers(daemon)).toEqual(frames.sort())
  expect(fillsOf(daemon.backend)).toMatchObject({ IOTLB: DEAD, PASID: DEAD })
}

/** A successor gets all the numbers of the dead, as soon as they have rested, and binds them. */
async function succeed(daemon: InProcessDaemon, session: PasidSession): Promise<void> {
  const pasids = Array.from({ length: DEAD }, (_, at) => FIRST + at)
  await session.attachDevice({ device: DEVICE })
  setMemory(daemon, session.name, 7)
  for (;;) {
    try {
      await session.allocatePasids({ exact: { pasids } })
      break
    } catch (error) {
      if (!(error instanceof PasidError) || error.reason !== 'PASID_TAKEN') throw error
    }
  }
  const control = await session.control()
  const firstStage = { address: 4096, addressWidth: 48 }
  const bind = (pasid: number) =>
    control.send('bindPasid', { pasid, devices: [DEVICE], domain: 1, firstStage })
  await Promise.all(pasids.map(bind))
  control.cancel()
}

test(`${OWNERS} owners die with ${EACH} bindings each: in order, and nothing stale`, async (ctx) => {
  const folder = temporaryFolder()
  const nursery = Nursery.start(folder)
  if (nursery === undefined) return ctx.skip(NO_COMPILER)
  const daemon = await startInProcess({ folder, toml: TOML })
  const witness = new OrderWitness(daemon.backend, HOLD_MS)
  const delegate = new Delegate(daemon.vmmSocket)
  const own = new PasidClient({ socket: daemon.vmmSocket })
  clients.push(own)
  const pids = await nursery.fork(OWNERS)
  const vms = await delegate.open(pids, { first: FIRST, each: EACH, bound: EACH })
  fillCaches(daemon, vms)
  const living = await Living.open(own, KEPT)
  living.start()
  await living.until(() => living.grants.length >= 100)

  const began = performance.now()
  await nursery.end(pids)
  await living.until(() => daemon.broker.state.sessions.size === 1)
  const seconds = ((performance.now() - began) / 1000).toFixed(2)
  expect(answers(daemon)).toEqual(['PASID_ENTRY_NOT_PRESENT'])
  const empty = { PASID: 0, IOTLB: 0, PAGING_STRUCTURE: 0 }
  expect(fillsOf(daemon.backend)).toMatchObject(empty)
  expect(fillsOf(daemon.backend)['DEVICE_TLB'] ?? 0).toBe(0)
  const successor = await own.openSession()
  await succeed(daemon, successor)
  // Asked of the tables, and answered with the successor's frame: nothing of the dead is left.
  expect(answers(daemon)).toEqual(['7 TABLES'])
  await living.stop()

  expect(witness.problems.slice(0, SHOWN)).toEqual([])
  expect(witness.teardowns).toBeGreaterThanOrEqual(DEAD)
  expect(witness.reused).toBeGreaterThanOrEqual(DEAD)
  expect(witness.present).toBe(DEAD + KEPT)
  expect(await living.problem()).toBe('')
  process.stdout.write(
    `  order: ${OWNERS} x ${EACH} bindings torn down in ${seconds} s; ${witness.teardowns} ` +
      `teardowns, each whole and in order; ${witness.reused} entries written again, none early\n`,
  )
})

interface Holder {
  readonly owner: number
  readonly child: number
  /** What the child listens on. */
  readonly socket: string
}

/** A process that connected and forked: its child passes on what comes over the socket. */
async function startHolder(folder: string, vmmSocket: string): Promise<Holder | undefined> {
  const program = compile(folder, 'holder')
  if (program === undefined) return undefined
  const socket = path.join(folder, 'held.sock')
  // Both end with the pipe; Node closes a child's stdin as soon as the child has ended.
  const spawned = spawn(program, [vmmSocket, socket], { stdio: ['ignore', 'pipe', 2, 'pipe'] })
  children.push(spawned)
  if (spawned.stdout === null) throw new Error('there is a pipe for what it says')
  for await (const line of createInterface({ input: spawned.stdout })) {
    const [owner = 0, child = 0] = line.split(' ').map(Number)
    return { owner, child, socket }
  }
  throw new Error('the holder said nothing')
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ACCEPTED'
  } catch (error) {
    if (!(error instanceof PasidError)) throw error
    return error.reason === '' ? String(error.code) : error.reason
  }
}

function through(socket: string): PasidClient {
  // Clients of one process share their connections otherwise.
  const channelOptions = { 'grpc.use_local_subchannel_pool': 1 }
  const client = new PasidClient({ socket, retry: { attempts: 1 }, channelOptions })
  clients.push(client)
  return client
}

test('a child that holds its dead parent’s connection has nothing by it', async (ctx) => {
  const folder = temporaryFolder()
  const toml = `[namespace]\nhold = "${HOLD_MS}ms"\n[reclaim]\nsweep_interval = "1h"\n`
  const daemon = await startInProcess({ folder, toml })
  const witness = new OrderWitness(daemon.backend, HOLD_MS)
  const holder = await startHolder(folder, daemon.vmmSocket)
  if (holder === undefined) return ctx.skip(NO_COMPILER)
  const { owner, child, socket } = holder
  // The first client speaks over the parent's connection, through the child that holds it too.
  const held = through(socket)
  expect((await held.getServerInfo()).caller?.process?.pid).toBe(owner)
  const session = await held.openSession()
  expect((await session.get()).owner?.pid).toBe(owner)
  await session.attachDevice({ device: DEVICE })
  await session.allocatePasids({ exact: { pasids: [1000, 1001] } })
  const table = { firstStage: { address: 4096, addressWidth: 48 } }
  await session.bindPasid({ pasid: 1000, devices: [DEVICE], domain: 1, ...table })
  const control = await session.control()

  // A connection that the child makes is the child's, and the token does not change that.
  const anew = through(socket)
  expect((await anew.getServerInfo()).caller?.process?.pid).toBe(child)
  const again = anew.session(session.name, session.token)
  expect(await reasonOf(again.allocatePasids({ one: {} }))).toBe('NOT_OWNER')
  expect(await reasonOf(anew.resumeSession(session.name, session.token))).toBe('NOT_OWNER')
  expect(witness.present).toBe(1)

  process.kill(owner, 'SIGKILL')
  // Cut, although the child lives and holds it open.
  expect(await control.closed).toBeInstanceOf(PasidError)
  await expect.poll(() => daemon.broker.state.sessions.size, { timeout: 20_000 }).toBe(0)
  process.kill(child, 0)
  expect(witness).toMatchObject({ problems: [], teardowns: 1, present: 0 })
  // Over its own connection, also on the one that stands: not there any more, and no successor.
  expect(await reasonOf(again.allocatePasids({ one: {} }))).toBe('SESSION_NOT_FOUND')
  expect(await reasonOf(anew.resumeSession(session.name, session.token))).toBe('SESSION_NOT_FOUND')
  const events = await daemon.broker.listAudit({
    before: undefined,
    limit: 10,
    action: 'RECLAIM',
    subject: undefined,
    uid: undefined,
    outcome: undefined,
  })
  const causes = events.ok ? events.value.map(({ cause }) => cause) : []
  expect(causes).toEqual(['EXIT'])
})
