/** Bad input to what operators do, and to what delegates ask; what is refused changes nothing. */
import { argument, type Case, message, notFound, PASIDS, raw, refusal } from './service-bad-case.js'
import { packet, type Method } from './service-rig.js'

const REASON = 'x'.repeat(256)
const gone = refusal('NOT_FOUND', 'SESSION_NOT_FOUND', { session: 'gone' })

/** Recorded as refused: the revision moves, nothing else. */
const audited = (one: Case): Case => ({ ...one, audited: true })

const END = 'Operator/EndSession'
const RELEASE = 'Operator/ReleaseAllocation'
const UPDATE = 'Operator/UpdateTenant'
const AUDIT = 'Operator/ListAuditEvents'
const release = { pasid: 300, generation: 1 }
const tenant = { name: 'tenants/default' }
const mask = { updateMask: { paths: ['max_pasids'] } }

const REASON_CASES: Case[] = (
  [
    [END, { name: 'sessions/gone' }],
    [RELEASE, release],
    [UPDATE, { tenant, ...mask }],
    ['Operator/ResumeReclaim', {}],
  ] as const
).flatMap(([method, base]) => [
  message(
    method,
    'a reason of 256 characters',
    () => ({ ...base, reason: REASON }),
    argument('reason', '256 characters'),
  ),
  message(
    method,
    'a reason of two lines',
    () => ({ ...base, reason: 'a\nb' }),
    argument('reason', '"a\\nb"'),
  ),
])

const END_CASES: Case[] = [
  message(END, 'no name', () => ({}), argument('name', 'nothing')),
  message(END, 'no session name', () => ({ name: 'vm 1' }), argument('name', '"vm 1"')),
  audited(message(END, 'an unknown session', () => ({ name: 'sessions/gone' }), gone)),
  message(
    END,
    'an unknown session, only to see',
    () => ({ name: 'sessions/gone', validateOnly: true }),
    gone,
  ),
]

const RELEASE_CASES: Case[] = [
  message(RELEASE, 'no pasid', () => ({ generation: 1 }), argument('pasid', '0', PASIDS)),
  message(
    RELEASE,
    'a pasid of 21 bits',
    () => ({ pasid: 1_048_576, generation: 1 }),
    argument('pasid', '1048576', PASIDS),
  ),
  message(RELEASE, 'no generation', () => ({ pasid: 300 }), argument('generation', '0')),
  message(
    RELEASE,
    'a generation of 2^53',
    () => ({ pasid: 300, generation: '9007199254740992' }),
    argument('generation', '9007199254740992'),
  ),
  message(
    RELEASE,
    'no device in DEVICE scope',
    () => ({ ...release, scope: 'SCOPE_DEVICE' }),
    argument('device'),
  ),
  audited(
    message(RELEASE, 'a free pasid', () => ({ pasid: 9999, generation: 1 }), notFound('9999')),
  ),
  audited(
    message(
      RELEASE,
      'a stale generation',
      () => release,
      refusal('ABORTED', 'GENERATION_STALE', { pasid: '300', generation: '1' }),
    ),
  ),
]

const UPDATE_CASES: Case[] = [
  message(UPDATE, 'no tenant', () => mask, argument('tenant', 'nothing')),
  message(UPDATE, 'no name', () => ({ tenant: {}, ...mask }), argument('tenant.name', 'nothing')),
  message(UPDATE, 'no mask', () => ({ tenant }), argument('update_mask', 'nothing')),
  message(
    UPDATE,
    'an unknown path',
    () => ({ tenant, updateMask: { paths: ['colour'] } }),
    argument('update_mask', '"colour"'),
  ),
  message(
    UPDATE,
    'a path twice',
    () => ({ tenant, updateMask: { paths: ['max_pasids', 'max_pasids'] } }),
    argument('update_mask', '"max_pasids" again'),
  ),
  message(
    UPDATE,
    'a mask with revert',
    () => ({ tenant, revert: true, ...mask }),
    argument('update_mask', '1 paths'),
  ),
  message(
    UPDATE,
    'too many sessions',
    () => ({
      tenant: { ...tenant, maxSessions: 1_048_577 },
      updateMask: { paths: ['max_sessions'] },
    }),
    argument('tenant.max_sessions', '1048577'),
  ),
  audited(
    message(
      UPDATE,
      'an unknown tenant',
      () => ({ tenant: { name: 'tenants/none' }, ...mask }),
      refusal('NOT_FOUND', 'TENANT_NOT_FOUND', { tenant: 'none' }),
    ),
  ),
  audited(
    message(
      UPDATE,
      'a stale etag',
      () => ({ tenant: { ...tenant, etag: '0' }, ...mask }),
      refusal('ABORTED', 'ETAG_STALE', { tenant: 'default', etag: '"0"' }),
    ),
  ),
  audited(
    message(
      UPDATE,
      'a guarantee that cannot be kept',
      () => ({
        tenant: { ...tenant, guaranteedPasids: 100_001 },
        updateMask: { paths: ['guaranteed_pasids'] },
      }),
      argument('tenant.guaranteed_pasids', '100001'),
    ),
  ),
]

const AUDIT_CASES: Case[] = ['action = DANCE', 'uid = root', 'uid >= 0', 'time = 1'].map(
  (filter) => {
    const expected = refusal('INVALID_ARGUMENT', 'FILTER_INVALID')
    return message(AUDIT, `filter ${filter}`, () => ({ filter }), expected)
  },
)

const OPEN = 'PasidBroker/OpenSession'
const RESUME = 'PasidBroker/ResumeSession'
/** google.protobuf.Duration by hand: no honest encoder writes such. */
const linger = (name: string, bytes: Buffer, value: string): Case => {
  return raw(OPEN, name, () => ({}), packet.bytes(4, bytes), argument('linger', value))
}
const notAllowed = (method: Method, name: string, more: object): Case => ({
  ...message(
    method,
    name,
    ({ own }) => (method === RESUME ? { name: own.name, ...more } : more),
    refusal('PERMISSION_DENIED', 'ROLE_NOT_ALLOWED', { role: 'vmm' }),
  ),
})

const DELEGATE_CASES: Case[] = [
  notAllowed(OPEN, 'an owner token of no delegate', { ownerToken: 't' }),
  notAllowed(OPEN, 'a tenant of no delegate', { tenant: 'tenants/default' }),
  notAllowed(OPEN, 'both of no delegate', { ownerToken: 't', tenant: 'tenants/default' }),
  notAllowed(RESUME, 'an owner token of no delegate', { ownerToken: 't' }),
  linger('a negative linger', packet.varint(1, -1n), '-1 s 0 ns'),
  linger('a linger above an hour', packet.varint(1, 3601), '3601 s 0 ns'),
  linger(
    'a linger of a nanosecond above an hour',
    Buffer.concat([packet.varint(1, 3600), packet.varint(2, 1)]),
    '3600 s 1 ns',
  ),
  linger('a linger of half a millisecond', packet.varint(2, 500_000), '0 s 500000 ns'),
]

export const ACT_CASES: readonly Case[] = [
  ...REASON_CASES,
  ...END_CASES,
  ...RELEASE_CASES,
  ...UPDATE_CASES,
  ...AUDIT_CASES,
  ...DELEGATE_CASES,
]
