/** Lists: the same rows however they are paged, from wherever a page begins. */

import { describe, expect, test } from 'vitest'
import type { ScopeName } from '../../src/core/commands.js'
import { PASID_LAST, domainId, pasid, target, type SessionId } from '../../src/core/ids.js'
import { completions, verbs } from '../../src/core/machine.js'
import {
  LIST_SCAN_MAX,
  listAllocations,
  listOwn,
  ridBindings,
  sessionView,
  type AllocationFilter,
  type AllocationPage,
  type AllocationPosition,
} from '../../src/core/view.js'
import { Random, World, device, policy } from '../support/core-world.js'

function take(at: World, session: SessionId, numbers: readonly number[], name?: string): void {
  const scope: ScopeName = name === undefined ? { kind: 'HOST' } : { kind: 'DEVICE', device: name }
  const command = {
    verb: 'allocate',
    session,
    scope,
    ask: { kind: 'EXACT', pasids: numbers.map(pasid) },
    range: { first: 1, last: PASID_LAST },
    devices: [],
    labels: { n: `${numbers[0]}` },
    request: undefined,
  } as const
  at.take(verbs.allocate(at.state, command, at.now))
  at.commit()
}

function free(at: World, session: SessionId, numbers: readonly number[]) {
  const what = { kind: 'NUMBERS', pasids: numbers.map(pasid) } as const
  const rest = { scope: { kind: 'HOST' }, request: undefined } as const
  return at.take(
    verbs.free(at.state, { verb: 'free', session, what, ...rest }, at.now, at.state.revision),
  )
}

/** Two sessions over HOST and two device scopes, with numbers in every state. */
function busy() {
  const devices = [
    device('nic', 'HOST'),
    device('one', 'DEVICE', { shared: false }),
    device('two', 'DEVICE', { shared: false }),
  ]
  const at = new World(policy(), devices)
  const [a, b] = [at.open(), at.open()]
  at.attach(a, 'nic')
  at.attach(a, 'one')
  at.attach(b, 'two')
  take(at, a, [3, 4, 5, 4095, 4096, 9000, PASID_LAST])
  take(at, b, [6, 7, 4097, 100_000])
  take(at, a, [1, 2, 3], 'one')
  take(at, b, [1, 2], 'two')
  const command = {
    verb: 'bind',
    session: a,
    target: target(4),
    devices: ['nic'],
    table: { kind: 'PASS_THROUGH' },
    domain: domainId(0),
    guestPasid: undefined,
    replace: false,
  } as const
  const bound = [command, { ...command, target: target(5) }].flatMap((one) => {
    return at.take(verbs.bind(at.state, one)).steps
  })
  for (const step of bound) at.apply(completions.completeBind(at.state, step, 'BOUND'))
  free(at, a, [3, 5])
  free(at, b, [7])
  at.commit()
  return { at, a, b }
}

type Lister = (after: AllocationPosition | undefined, limit: number) => AllocationPage

/** All rows, by pages of so many; no page holds more. */
function all(list: Lister, limit: number): string[] {
  const rows: string[] = []
  for (let after: AllocationPosition | undefined, i = 0; ; i += 1) {
    const page = list(after, limit)
    expect(page.rows.length).toBeLessThanOrEqual(limit)
    for (const { namespace, pasid: at, state } of page.rows)
      rows.push(`${namespace}:${at} ${state}`)
    if (page.next === undefined) return rows
    after = { namespace: page.next.namespace, pasid: page.next.pasid }
    expect(i).toBeLessThan(1000)
  }
}

describe('pages', () => {
  const { at, a, b } = busy()
  const filters: [string, AllocationFilter, number][] = [
    ['everything', {}, 16],
    ['a session', { session: a }, 9],
    ['a namespace', { namespace: 2 as never }, 3],
    ['a state', { states: new Set(['QUARANTINED'] as const) }, 2],
    ['two states', { states: new Set(['ACTIVE', 'FREE_PENDING'] as const) }, 2],
    ['a tenant', { tenant: 'main' }, 16],
    ['another tenant', { tenant: 'none' }, 0],
    ['a range', { range: { first: 4, last: 4096 } }, 6],
    ['a range of a session', { range: { first: 2, last: 4095 }, session: b }, 2],
  ]

  test.each(filters)('%s: the same rows at every size of page', (_, filter, count) => {
    const list: Lister = (after, limit) => listAllocations(at.state, after, limit, filter)
    const whole = all(list, 1000)
    expect(whole).toHaveLength(count)
    for (const limit of [1, 2, 3, 5, 16]) expect(all(list, limit)).toEqual(whole)
  })

  test("a session's own list is what the filtered list of all says", () => {
    for (const id of [a, b]) {
      const session = at.state.session(id)
      const own: Lister = (after, limit) => listOwn(at.state, session, after, limit)
      const filtered: Lister = (after, limit) => {
        return listAllocations(at.state, after, limit, { session: id })
      }
      const whole = all(filtered, 1000)
      for (const limit of [1, 2, 3, 100]) expect(all(own, limit)).toEqual(whole)
    }
  })

  test('a page goes on from any position, held or not', () => {
    const random = new Random(1)
    const whole = listAllocations(at.state, undefined, 1000, {}).rows
    for (let i = 0; i < 300; i += 1) {
      const row = random.pick(whole)
      const after = {
        namespace: random.chance(80) ? row.namespace : (random.below(4) as never),
        pasid: random.chance(50) ? row.pasid : random.below(10_000),
      }
      const rest = whole.filter((other) => {
        if (other.namespace !== after.namespace) return other.namespace > after.namespace
        return other.pasid > after.pasid
      })
      expect(listAllocations(at.state, after, 1000, {}).rows).toEqual(rest)
      for (const id of [a, b]) {
        const own = rest.filter(({ session, state }) => {
          return session === at.state.session(id).record.name && state !== 'QUARANTINED'
        })
        expect(listOwn(at.state, at.state.session(id), after, 1000).rows).toEqual(own)
      }
    }
  })

  test('a number freed between two pages is left out, nothing else moves', () => {
    const other = busy()
    const session = other.at.state.session(other.a)
    const first = listOwn(other.at.state, session, undefined, 2)
    expect(first.rows.map((row) => row.pasid)).toEqual([4, 5])
    free(other.at, other.a, [4095])
    const { rows } = listOwn(other.at.state, session, first.next, 100)
    expect(rows.map((row) => row.pasid)).toEqual([4096, 9000, PASID_LAST, 1, 2, 3])
  })

  test('a session with many numbers lists them as one with few', () => {
    const many = new World(policy({ sessionMaxPasids: 20_000 }))
    const session = many.open()
    for (let first = 1; first < 12_000; first += 4000) {
      take(
        many,
        session,
        Array.from({ length: 3000 }, (_, i) => first + i),
      )
    }
    const own = many.state.session(session)
    expect(own.held).toBe(9000)
    const list: Lister = (after, limit) => listOwn(many.state, own, after, limit)
    const rows = all(list, 1000)
    free(
      many,
      session,
      Array.from({ length: 1500 }, (_, i) => 1 + i),
    )
    many.commit()
    expect(own.held).toBeLessThan(8192)
    expect(all(list, 1000)).toEqual(rows.slice(1500))
  })

  test('a filter that matches little ends its page early and goes on', () => {
    const wide = new World(policy({ sessionMaxPasids: PASID_LAST }))
    const [many, few] = [wide.open(), wide.open()]
    take(wide, few, [PASID_LAST])
    const runs = [{ first: 1, count: LIST_SCAN_MAX + 10 }]
    const { record } = wide.state.session(many)
    wide.apply([
      {
        kind: 'granted',
        namespace: 0 as never,
        session: many,
        tenant: record.tenant,
        runs,
        generation: (wide.state.revision + 1) as never,
        at: wide.now.wall,
        labels: undefined,
        cursorBefore: 1,
        cursorAfter: 1,
      },
    ])
    const filter = { session: few }
    const first = listAllocations(wide.state, undefined, 10, filter)
    expect(first).toMatchObject({ rows: [], next: { pasid: LIST_SCAN_MAX } })
    const rest = listAllocations(wide.state, first.next, 10, filter)
    expect(rest.rows.map((row) => row.pasid)).toEqual([PASID_LAST])
    expect(rest.next).toBeUndefined()
  })
})

describe('rows', () => {
  test('say state, owner, labels and bindings; what rests of a closed session has no owner', () => {
    const { at, a } = busy()
    const rows = new Map(
      listAllocations(at.state, undefined, 100, { namespace: 0 as never }).rows.map((row) => {
        return [row.pasid, row]
      }),
    )
    expect(rows.get(4)).toMatchObject({
      state: 'ACTIVE',
      session: 's1',
      tenant: 'main',
      labels: { n: '3' },
      bindings: [{ device: 'nic', binding: { state: 'BOUND', target: 4 } }],
    })
    expect(rows.get(5)).toMatchObject({ state: 'FREE_PENDING' })
    expect(rows.get(3)).toMatchObject({ state: 'QUARANTINED', session: 's1' })
    expect(rows.get(9000)).toMatchObject({ state: 'IDLE', bindings: [] })
    const view = sessionView(at.state, at.state.session(a))
    expect(view).toMatchObject({ held: 9, bindings: 2, lostBindings: 0, devices: ['nic', 'one'] })
    expect(ridBindings(at.state, at.state.session(a))).toEqual([])
  })
})
