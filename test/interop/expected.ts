/**
 * What every client must have seen, whatever its language. Numbers that the broker chose are taken
 * from the output and must fit what was asked; 64-bit ones are strings there, and exact.
 */
import { expect } from 'vitest'
import type { PasidClient } from '../../src/client/index.js'

/** One line of a client's output. */
export type Step = Readonly<Record<string, unknown>> & { readonly step: string }

interface Facts {
  readonly vm: string
  /** pid, uid, gid of the client's process. */
  readonly caller: readonly number[]
  readonly info: Awaited<ReturnType<PasidClient['getServerInfo']>>
  readonly asOperator: boolean
}

/** The last page below 2^52: neither a float nor an int32 holds it. */
export const TABLE_MAX = String(2n ** 52n - 4096n)
/** Ids count down from 2^64 - 1: one command opens the stream, 134 follow. */
const LAST_ID = String(2n ** 64n - 1n - 134n)
const WHOLE: unknown = expect.stringMatching(/^[1-9]\d*$/)

/** What was granted to `ask`, by the client's own word. */
export function grantOf(steps: readonly Step[], ask: string) {
  const step = steps.find((one) => one.step === 'allocate_pasids' && one.ask === ask)
  const ranges = step?.ranges as readonly (readonly [number, number])[] | undefined
  const [[first, last] = [0, 0]] = ranges ?? []
  return { first, last, generation: String(step?.generation) }
}

interface Grants {
  readonly one: number
  readonly block: number
  readonly retried: number
}

function grantsIn(steps: readonly Step[]): Grants {
  const retried = Number(steps.find(({ step }) => step === 'retry')?.pasid)
  const grants = { one: grantOf(steps, 'one').first, block: grantOf(steps, 'block').first, retried }
  expect(grants.one).toSatisfy((pasid: number) => pasid >= 300_000 && pasid <= 399_999)
  expect(grants.block).toSatisfy((pasid: number) => pasid >= 400_000 && pasid <= 499_999 - 15)
  expect(grants.block % 16).toBe(0)
  expect(retried).toBeGreaterThanOrEqual(500_000)
  return grants
}

function opening({ vm, caller, info }: Facts): readonly object[] {
  const device = { step: 'attach_device', pasid_bits: 20, address_widths: [48, 57] }
  const [host, own] = ['SCOPE_HOST', 'SCOPE_DEVICE']
  const [mediated, none] = ['PASID_TRANSLATION_MEDIATED', 'PASID_TRANSLATION_NONE']
  return [
    {
      step: 'server',
      health: 'SERVING',
      version: info.version,
      incarnation: info.incarnation,
      backend: 'emulator',
      writable: true,
      hold_ms: 60_000,
      message_bytes: info.limits?.messageBytes,
      recovered_revision: info.recoveredRevision,
      caller,
    },
    {
      step: 'open_session',
      name: expect.stringMatching(/^sessions\/[a-z0-9]+$/),
      tenant: 'tenants/default',
      max_pasids: 512,
      vm,
      token_length: 43,
      same_again: true,
    },
    { ...device, device: 'devices/emu0', scope: host, translation: mediated },
    { ...device, device: 'devices/emu1', scope: own, translation: none },
  ]
}

function allocations({ one, block, retried }: Grants): readonly object[] {
  const grant = (ask: string, headroom: number, ...ranges: readonly (readonly number[])[]) => ({
    ...{ step: 'allocate_pasids', ask, ranges, generation: WHOLE },
    ...{ headroom, tenant_limited: false },
  })
  return [
    grant('one', 511, [one, one]),
    grant('block', 495, [block, block + 15]),
    grant('exact', 492, [700_001, 700_001], [700_003, 700_003], [700_005, 700_005]),
    grant('device', 490, [1, 2]),
    { step: 'retry', same_again: true, pasid: retried, reason: 'REQUEST_ID_REUSED' },
  ]
}

function bindings({ one, block, retried }: Grants): readonly object[] {
  const host = [one, ...Array.from({ length: 16 }, (_, i) => block + i), 700_001, 700_003, 700_005]
  return [
    { step: 'bind_pasid', revision: WHOLE, rid_is_later: true },
    { step: 'invalidate', done: 3, lost: 0 },
    {
      step: 'list_pasids',
      pages: 4,
      pasids: [...[...host, retried].sort((a, b) => a - b), 1, 2],
      same_generation: true,
      state: 'ALLOCATION_STATE_ACTIVE',
      binding_state: 'BINDING_STATE_BOUND',
      guest_pasid: 5,
      address: TABLE_MAX,
      rid_devices: ['devices/emu1'],
      revision: WHOLE,
    },
  ]
}

function refused(code: number, reason: string, metadata: object, subjects: readonly string[] = []) {
  const known: unknown = expect.objectContaining(metadata)
  return { code, reason, domain: 'pasid.v1', metadata: known, quota_subjects: subjects }
}

function refusals(session: string): readonly object[] {
  const notBound = refused(5, 'NOT_BOUND', { target: '999999', device: '' })
  const limit = { level: 'SESSION', subject: session, limit: '512', used: '23', asked: '1024' }
  const address = { field: 'first_stage.address', value: String(2n ** 64n - 1n) }
  const refusal = { step: 'refusal' }
  return [
    {
      ...{ step: 'control', in_flight_max: 256, sent: 134, matched: 134, done: 100, unbound: 16 },
      ...{ last_id: LAST_ID, error: notBound, error_reason: 'NOT_BOUND' },
    },
    {
      ...{ ...refusal, of: 'not_found' },
      ...refused(5, 'PASID_NOT_FOUND', { pasid: '999999', scope: 'HOST' }),
    },
    {
      ...{ ...refusal, of: 'quota' },
      ...refused(8, 'QUOTA_EXCEEDED', limit, [`SESSION:${session}`]),
    },
    { ...refusal, of: 'address', ...refused(3, 'INVALID_ARGUMENT', address) },
    { ...refusal, of: 'token', ...refused(16, 'SESSION_TOKEN_WRONG', { session }) },
  ]
}

function operatorsLook({ first, generation }: ReturnType<typeof grantOf>): object {
  return {
    ...{ step: 'operator', health: 'SERVING', allocations: 23, same_generation: true },
    ...{ tenant: 'tenants/default', address: TABLE_MAX },
    // What came after `started` came first with the grant.
    started: String(BigInt(generation) - 1n),
    changed: generation,
    granted: [[first, first]],
  }
}

function ending(): readonly object[] {
  const free = { step: 'free_pasids', durable: true }
  return [
    { ...free, by: 'pasids', freed: 3 },
    { ...free, by: 'range', freed: 16 },
    { ...free, by: 'range_again', freed: 0 },
    { step: 'close_session', freed: 4, durable: true, then: 'SESSION_NOT_FOUND' },
  ]
}

/** Compares the whole output of a `tour`. */
export function expectTour(steps: readonly Step[], facts: Facts): void {
  const grants = grantsIn(steps)
  const name = String(steps.find(({ step }) => step === 'open_session')?.name)
  const session = name.replace('sessions/', '')
  expect(steps).toEqual([
    ...opening(facts),
    ...allocations(grants),
    ...bindings(grants),
    ...refusals(session),
    {
      ...{ step: 'get_session', state: 'SESSION_STATE_OPEN', held_pasids: 23, bindings: 2 },
      ...{ lost_bindings: 0, devices: ['devices/emu0', 'devices/emu1'] },
    },
    ...(facts.asOperator ? [operatorsLook(grantOf(steps, 'one'))] : []),
    ...ending(),
  ])
}
