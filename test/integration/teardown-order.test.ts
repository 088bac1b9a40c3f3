/**
 * However a binding ends, the hardware sees the same: for every entry the whole order of
 * intel_pasid_tear_down_entry, read from the emulator's own log. Free, the owner's death (a real
 * process, kill -9), force, and a device let go, with several entries at once, those of IOMMU
 * groups, requests without PASID, and the teardown inside a replace.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { OperatorClient, type PasidSession } from '../../src/client/index.js'
import type { Operation } from '../../src/backend/emulator/operation-log.js'
import { target } from '../../src/core/ids.js'
import { startInProcess, stopAll, type InProcessDaemon } from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML } from '../support/delegate.js'
import { entriesOf, nameOf, partsOf, teardownOf, type Entry } from '../support/teardown-order.js'

const FIRST_STAGE = { firstStage: { address: 4096, addressWidth: 48 } } as const
const OTHER_TABLE = { firstStage: { address: 8192, addressWidth: 48 } } as const
const DEVICES = ['shared', 'alone', 'one', 'two'] as const
/** On every device; on `shared` alone, past its first stage; on `one` of the group alone. */
const [EVERYWHERE, THROUGH, LONE] = [300, 301, 302]
const TOML = `${DELEGATE_TOML}
[[backend.device]]
name = "shared"
shared = true
page_requests = true
[[backend.device]]
name = "alone"
[[backend.device]]
name = "one"
group = "pair"
page_requests = true
[[backend.device]]
name = "two"
group = "pair"
`

const children: ChildProcess[] = []
const operators: OperatorClient[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of operators.splice(0)) client.close()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await stopAll()
})

interface Ground {
  readonly daemon: InProcessDaemon
  readonly owner: ChildProcess
  readonly session: PasidSession
  readonly operator: OperatorClient
  /** Everything in force when the test begins; the log is on and empty. */
  readonly entries: readonly Entry[]
}

/** A VM whose process is a real one, with bindings of every kind. */
async function ground(): Promise<Ground> {
  const daemon = await startInProcess({ toml: TOML })
  const owner = spawn('sleep', ['600'])
  children.push(owner)
  await new Promise((resolve) => owner.once('spawn', resolve))
  const delegate = new Delegate(daemon.vmmSocket)
  const ownerToken = await delegate.ownerToken(owner.pid ?? -1)
  const { name, token } = await delegate.client.openSession({ ownerToken, tenant: 'tenants/vms' })
  const session = delegate.client.session(name, token)
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  operators.push(operator)
  const all = DEVICES.map((device) => `devices/${device}`)
  for (const device of all) await session.attachDevice({ device })
  await session.allocatePasids({ exact: { pasids: [EVERYWHERE, THROUGH, LONE] } })
  await session.bindPasid({ pasid: EVERYWHERE, devices: all, domain: 1, ...FIRST_STAGE })
  const shared = ['devices/shared']
  await session.bindPasid({ pasid: THROUGH, devices: shared, domain: 2, passThrough: {} })
  await session.bindPasid({ pasid: LONE, devices: ['devices/one'], domain: 3, ...FIRST_STAGE })
  await session.bindPasid({ rid: true, devices: ['devices/alone'], domain: 4, passThrough: {} })
  const pair = ['devices/one', 'devices/two']
  await session.bindPasid({ rid: true, devices: pair, domain: 5, ...FIRST_STAGE })
  const entries = entriesOf(daemon.backend, DEVICES)
  expect(entries.map(nameOf)).toEqual([
    `shared ${EVERYWHERE}`,
    `shared ${THROUGH}`,
    'alone 0',
    `alone ${EVERYWHERE}`,
    ...['one', 'two'].flatMap((device) => {
      return [`${device} 0`, `${device} ${EVERYWHERE}`, `${device} ${LONE}`]
    }),
  ])
  daemon.backend.operations.on = true
  return { daemon, owner, session, operator, entries }
}

/** What is done for a device of a group that lets go of an entry which others hold. */
function letGo(device: string, at: number): object {
  return { kind: 'DRAIN_PAGE_REQUESTS', device, target: at, answered: 0 }
}

/** Exactly these entries were torn down, each whole and in order; answers what was done beside. */
function expectTornDown(
  { daemon }: Ground,
  entries: readonly Entry[],
  waiting: ReadonlyMap<string, number> = new Map(),
): readonly Operation[] {
  const { teardowns, beside } = partsOf(daemon.backend.operations.list())
  expect([...teardowns.keys()].sort()).toEqual(entries.map(nameOf).sort())
  for (const entry of entries) {
    const whole = teardownOf(entry, true, waiting.get(nameOf(entry)) ?? 0)
    expect(teardowns.get(nameOf(entry))).toEqual(whole)
  }
  return beside
}

const isOf = (entry: Entry, pasids: readonly number[]): boolean => pasids.includes(entry.target)

function ended({ daemon }: Ground): Promise<unknown> {
  return expect.poll(() => daemon.broker.state.sessions.size, { timeout: 20_000 }).toBe(0)
}

const CONTEXT_KINDS = ['CLEAR_CONTEXT', 'INVALIDATE_CONTEXT'] as const

function expectContextsCleared(beside: readonly Operation[], devices: readonly string[]): void {
  const cleared = beside.flatMap((one) => (one.kind === 'CLEAR_CONTEXT' ? [one.device] : []))
  expect(cleared.sort()).toEqual([...devices].sort())
  const others = beside.filter(({ kind }) => kind !== 'DRAIN_PAGE_REQUESTS')
  for (const [at, operation] of others.entries()) {
    expect(operation.kind).toBe(CONTEXT_KINDS[at % CONTEXT_KINDS.length])
  }
  expectDrainsOfGroup(beside)
}

/** One of a group's devices let go of an entry first, while it stood on for the other. */
function expectDrainsOfGroup(beside: readonly Operation[]): void {
  const drains = beside.filter((one) => one.kind === 'DRAIN_PAGE_REQUESTS')
  const seen = new Set<number>()
  for (const { device, target: at } of drains) {
    expect(['one', 'two']).toContain(device)
    expect(seen).not.toContain(at)
    seen.add(at)
  }
}

describe('free', () => {
  test('tears down the number everywhere, and leaves the rest', async () => {
    const here = await ground()
    await here.session.freePasids({ pasids: { pasids: [EVERYWHERE] } })
    const gone = here.entries.filter((entry) => isOf(entry, [EVERYWHERE]))
    expect(gone).toHaveLength(4)
    const beside = expectTornDown(here, gone)
    expect(beside).toEqual([letGo('one', EVERYWHERE)])
    const left = here.entries.filter((entry) => !isOf(entry, [EVERYWHERE]))
    expect(entriesOf(here.daemon.backend, DEVICES)).toEqual(left)
  })

  test('of several at once, with page requests that wait', async () => {
    const here = await ground()
    const { backend } = here.daemon
    const rights = { read: true, write: false, execute: false, privileged: false }
    const raise = (device: string, at: number, group: number, last = true) => {
      const request = { device, target: target(at), group, last, address: 0x5000n, ...rights }
      return backend.raisePageRequest(request)
    }
    const answers = await here.session.control({ receivePageRequests: true })
    const raised = [raise('shared', THROUGH, 1), raise('one', EVERYWHERE, 2)]
    expect(raised.map(({ state }) => state)).toEqual(['DELIVERED', 'DELIVERED'])
    expect(raise('one', EVERYWHERE, 3, false).state).toBe('WAITING')
    await here.session.freePasids({ pasids: { pasids: [EVERYWHERE, THROUGH, LONE] } })
    const gone = here.entries.filter((entry) => !isOf(entry, [0]))
    const beside = expectTornDown(here, gone, new Map([[`shared ${THROUGH}`, 1]]))
    const code = 'INVALID'
    const answered = (device: string, at: number, group: number) => {
      return { kind: 'PAGE_GROUP_RESPONSE', device, target: at, group, code }
    }
    // The group's is due as soon as its own device lets go, while the other has the entry yet.
    expect(beside).toHaveLength(3)
    const own = beside.findIndex(({ kind }) => kind === 'DRAIN_PAGE_REQUESTS')
    expect(beside.slice(own, own + 2)).toEqual([
      { ...letGo('one', EVERYWHERE), answered: 1 },
      answered('one', EVERYWHERE, 2),
    ])
    expect(beside.toSpliced(own, 2)).toEqual([answered('shared', THROUGH, 1)])
    answers.cancel()
  })
})

describe('the end of the owner', () => {
  test('by kill -9 tears down everything, then lets the devices go', async () => {
    const here = await ground()
    here.owner.kill('SIGKILL')
    await ended(here)
    expectContextsCleared(expectTornDown(here, here.entries), DEVICES)
    expect(entriesOf(here.daemon.backend, DEVICES)).toEqual([])
  })
})

describe('force', () => {
  test('on one number tears it down everywhere', async () => {
    const here = await ground()
    const { pasid, generation } = await here.operator.getAllocation(EVERYWHERE)
    await here.operator.releaseAllocation({ pasid, generation }, { reason: 'test' })
    const gone = here.entries.filter((entry) => isOf(entry, [EVERYWHERE]))
    await expect.poll(() => entriesOf(here.daemon.backend, DEVICES)).toHaveLength(6)
    expect(expectTornDown(here, gone)).toEqual([letGo('one', EVERYWHERE)])
  })

  test('on a session tears down everything, then lets the devices go', async () => {
    const here = await ground()
    await here.operator.endSession(here.session.name, { reason: 'test' })
    await ended(here)
    expectContextsCleared(expectTornDown(here, here.entries), DEVICES)
  })
})

describe('a device let go', () => {
  test('alone: its entries, then its context', async () => {
    const here = await ground()
    await here.session.detachDevice({ device: 'devices/alone' })
    const gone = here.entries.filter(({ device }) => device === 'alone')
    expectContextsCleared(expectTornDown(here, gone), ['alone'])
  })

  test('of a group: what was bound by it alone goes, on every device of the group', async () => {
    const here = await ground()
    await here.session.detachDevice({ device: 'devices/one' })
    const lone = here.entries.filter((entry) => isOf(entry, [LONE]))
    expect(lone.map(({ device }) => device)).toEqual(['one', 'two'])
    const beside = expectTornDown(here, lone)
    // What the other device holds stays, on both; no page request of this one is left.
    expect(beside).toEqual([letGo('one', EVERYWHERE), letGo('one', 0)])
    here.daemon.backend.operations.clear()
    await here.session.detachDevice({ device: 'devices/two' })
    const pair = here.entries.filter(({ device }) => device === 'one' || device === 'two')
    const rest = pair.filter((entry) => !isOf(entry, [LONE]))
    expectContextsCleared(expectTornDown(here, rest), ['one', 'two'])
  })
})

describe('a replace', () => {
  test('tears down before it sets up, on each device of a group in turn', async () => {
    const here = await ground()
    const asked = { pasid: EVERYWHERE, devices: ['devices/two'], domain: 9, replace: true }
    await here.session.bindPasid({ ...asked, ...OTHER_TABLE })
    const old = here.entries.filter((entry) => {
      return isOf(entry, [EVERYWHERE]) && ['one', 'two'].includes(entry.device)
    })
    const whole = old.flatMap((entry) => {
      const { device } = entry
      const made = { device, target: EVERYWHERE }
      return [
        ...teardownOf(entry),
        { kind: 'WRITE_ENTRY', ...made },
        { kind: 'SET_PRESENT', ...made },
      ]
    })
    expect(here.daemon.backend.operations.list()).toEqual(whole)
    const now = entriesOf(here.daemon.backend, ['one', 'two'])
    const domains = now.filter((entry) => isOf(entry, [EVERYWHERE])).map(({ domain }) => domain)
    expect(new Set(domains).size).toBe(1)
    expect(old.map(({ domain }) => domain)).not.toContain(domains[0])
  })
})
