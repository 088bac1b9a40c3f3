/** The ground of the backend's contract: what is under test, and how its state is looked at. */

import { expect } from 'vitest'
import type {
  Backend,
  BindRequest,
  HandOver,
  ObservedPlace,
  Place,
} from '../../src/backend/backend.js'
import type { Table } from '../../src/core/binding.js'
import {
  domainId,
  sessionId,
  type DomainId,
  type SessionId,
  type Target,
} from '../../src/core/ids.js'

export interface BackendUnderTest {
  readonly backend: Backend
  /** One session at a time. */
  readonly exclusive: string
  /** Several sessions at a time; undefined where there is no such device. */
  readonly shared: string | undefined
  /** Tables that both devices take, no two the same, at least three. */
  readonly tables: readonly Table[]
  /** Numbers that both devices take; at least four. */
  readonly targets: readonly Target[]
  /** A table that neither device takes. */
  readonly refused: Table
  /** Devices of one IOMMU group; undefined where there is none. */
  readonly group: GroupUnderTest | undefined
  /** Lets the set-up in the next replace on the device fail with that kind. */
  readonly breakReplace: ((device: string, kind: 'RETRY' | 'REFUSE') => void) | undefined
  /** Lets the device raise a group of one page; undefined where a test cannot. */
  readonly raise: ((place: Place, group: number) => void | Promise<void>) | undefined
  /** Begins a reset; the function that it answers with ends it. */
  readonly reset: ((device: string) => () => void) | undefined
  /** What the session hands over with a device; undefined where devices are the backend's own. */
  readonly handOver?:
    | ((device: string, session: SessionId) => HandOver | Promise<HandOver>)
    | undefined
  /**
   * What is bound, looked up behind a backend that cannot list it itself. Undefined: not this time.
   */
  readonly bound?: (() => readonly ObservedPlace[] | undefined) | undefined
  /** Of the random test, where each step takes long. */
  readonly randomSteps?: number
}

export interface GroupUnderTest {
  /** Both take the tables and targets of the suite. */
  readonly first: string
  readonly second: string
  /** Has no PASIDs: of the entries it gets the RID's only. Undefined where there is none. */
  readonly withoutPasids: string | undefined
}

export const VM = sessionId(1)
export const OTHER_VM = sessionId(2)
export const DOMAIN = domainId(7)

export function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

export function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new Error(`the suite needs an item ${index}`)
  return found
}

function sorted(places: readonly ObservedPlace[]): readonly ObservedPlace[] {
  const order = (a: ObservedPlace, b: ObservedPlace): number => {
    return a.device === b.device ? a.target - b.target : a.device < b.device ? -1 : 1
  }
  return places
    .map(({ device, target: place, session, table }) => ({ device, target: place, session, table }))
    .sort(order)
}

export async function attach(
  { backend, handOver }: BackendUnderTest,
  device: string,
  session: SessionId,
): Promise<void> {
  await backend.attachDevice(device, session, await handOver?.(device, session))
}

export async function expectBound(
  { backend, bound }: BackendUnderTest,
  places: readonly ObservedPlace[],
): Promise<void> {
  const observed = await backend.observe()
  const seen = observed.kind === 'KNOWN' ? observed.places : bound?.()
  if (seen !== undefined) expect(sorted(seen)).toEqual(sorted(places))
}

export function fault(kind: 'RETRY' | 'REFUSE' | 'STOP'): unknown {
  return expect.objectContaining({ name: 'BackendFault', kind })
}

export interface Ground {
  readonly it: BackendUnderTest
  /** A bind of the first session's on the exclusive device. */
  readonly request: (index: number, table: number, domain?: DomainId) => BindRequest
  /** The same, on a device. */
  readonly on: (device: string, index: number, table: number, domain?: DomainId) => BindRequest
}
