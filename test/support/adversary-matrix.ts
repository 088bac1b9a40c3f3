/**
 * The matrix of who asks for what is another's, as tables: verbs, credentials, and things named
 * from within a session of one's own. Every cell has the one reason that it must be refused with.
 */
import type { Message } from './adversary-agents.js'
import { CACHES, FIRST_STAGE, SHARED, VTD_S1, type Verb } from './adversary-verbs.js'
import type { Name, Things } from './adversary-world.js'
import { info, queueBytes } from './raw-invalidation.js'
import {
  BIND_PGTBL,
  bindData,
  ERRNO,
  FREE,
  pasidRequest,
  REQUEST,
  withHeader,
} from './vfio-layouts.js'

export interface Credential {
  readonly who: Name
  /** Whose session is named; `closed` is one that the victim has closed. */
  readonly whose: 'victim' | 'delegate' | 'sibling' | 'closed'
  /** Whose token is shown; undefined: none. */
  readonly token: Name | 'closed' | undefined
  readonly reason: string
  /** Of ResumeSession, where it is another. */
  readonly resume?: string
}

const GONE = 'SESSION_NOT_FOUND'
const WRONG = 'SESSION_TOKEN_WRONG'
const OTHER = 'NOT_OWNER'
const ROLE = 'ROLE_NOT_ALLOWED'

export const CREDENTIALS: readonly Credential[] = [
  // Another tenant's: as if there were no such session, whatever is shown.
  { who: 'stranger', whose: 'victim', token: 'stranger', reason: GONE },
  { who: 'stranger', whose: 'victim', token: 'victim', reason: GONE },
  { who: 'stranger', whose: 'victim', token: undefined, reason: GONE },
  { who: 'stranger', whose: 'delegate', token: 'delegate', reason: GONE },
  { who: 'stranger', whose: 'closed', token: 'closed', reason: GONE },
  { who: 'foreignDelegate', whose: 'victim', token: 'victim', reason: GONE, resume: ROLE },
  { who: 'foreignDelegate', whose: 'victim', token: 'foreignDelegate', reason: GONE, resume: ROLE },
  { who: 'foreignDelegate', whose: 'delegate', token: 'delegate', reason: GONE, resume: ROLE },
  // The same tenant, another user.
  { who: 'colleague', whose: 'victim', token: 'colleague', reason: WRONG },
  { who: 'colleague', whose: 'victim', token: 'victim', reason: OTHER },
  { who: 'colleague', whose: 'victim', token: undefined, reason: WRONG },
  { who: 'colleague', whose: 'delegate', token: 'delegate', reason: OTHER },
  // The same user and tenant, another process.
  { who: 'sibling', whose: 'victim', token: 'sibling', reason: WRONG },
  { who: 'sibling', whose: 'victim', token: 'victim', reason: OTHER },
  { who: 'sibling', whose: 'victim', token: undefined, reason: WRONG },
  { who: 'sibling', whose: 'victim', token: 'closed', reason: WRONG },
  { who: 'sibling', whose: 'closed', token: 'closed', reason: GONE },
  // A child that the owner has forked, on a connection of its own.
  { who: 'child', whose: 'victim', token: 'victim', reason: OTHER },
  { who: 'child', whose: 'victim', token: undefined, reason: WRONG },
  // The victim is nobody else either, and what it has closed is gone for it too.
  { who: 'victim', whose: 'sibling', token: 'sibling', reason: OTHER },
  { who: 'victim', whose: 'delegate', token: 'delegate', reason: OTHER },
  { who: 'victim', whose: 'closed', token: 'closed', reason: GONE },
  { who: 'victim', whose: 'closed', token: 'victim', reason: GONE },
  // Delegates: only of what a delegate of their user has opened.
  { who: 'delegate', whose: 'victim', token: 'victim', reason: OTHER, resume: ROLE },
  { who: 'delegate', whose: 'victim', token: 'delegate', reason: WRONG, resume: ROLE },
  { who: 'otherDelegate', whose: 'delegate', token: 'delegate', reason: OTHER, resume: ROLE },
  { who: 'otherDelegate', whose: 'delegate', token: 'otherDelegate', reason: WRONG, resume: ROLE },
  { who: 'otherDelegate', whose: 'victim', token: 'victim', reason: OTHER, resume: ROLE },
  // Whom no rule is about.
  { who: 'nobody', whose: 'victim', token: 'victim', reason: 'IDENTITY_REFUSED' },
  { who: 'nobody', whose: 'closed', token: 'closed', reason: 'IDENTITY_REFUSED' },
]

/** Verbs that name nothing but the session. */
export const NAMES_NOTHING = [
  'GetSession',
  'CloseSession',
  'ResumeSession',
  'CloseContainer',
] as const

export interface Naming {
  readonly verb: Exclude<Verb, (typeof NAMES_NOTHING)[number]>
  readonly name: string
  readonly of: (things: Things) => Message
  /** The refusal's reason; an object is what of an answer there must be: nothing was reached. */
  readonly reason: string | Message
  /** For who is of the victim's tenant, where it is told more than others. */
  readonly inside?: string
  /**
   * The exact number is said to be taken (operator's word in docs/THREAT_MODEL.md): it is there.
   */
  readonly tells?: true
}

const ABSENT = 'DEVICE_NOT_ATTACHED'
const NUMBER = 'PASID_NOT_FOUND'

function allocating(name: string, rest: Omit<Naming, 'verb' | 'name'>): Naming {
  return { verb: 'AllocatePasids', name, ...rest }
}

function invalidating(name: string, of: (t: Things) => object, reason: Naming['reason']): Naming {
  const entries = (t: Things) => ({ entries: [{ caches: CACHES, ...of(t) }] })
  return { verb: 'Invalidate', name, of: entries, reason }
}

function unbinding(name: string, of: Naming['of'], reason: Naming['reason']): Naming {
  return { verb: 'UnbindPasids', name, of, reason }
}

/** In a session of one's own: what is another's is refused just as what is nobody's. */
export const NAMINGS: readonly Naming[] = [
  allocating('its number, exactly', {
    of: ({ pasid }) => ({ exact: { pasids: [pasid] } }),
    reason: 'PASID_TAKEN',
    tells: true,
  }),
  allocating('a free number and its own', {
    of: ({ pasid }) => ({ exact: { pasids: [3333, pasid] } }),
    reason: 'PASID_TAKEN',
    tells: true,
  }),
  allocating('on its function', {
    of: ({ vf, vfPasid }) => {
      return { scope: 'SCOPE_DEVICE', device: vf, exact: { pasids: [vfPasid] } }
    },
    reason: ABSENT,
  }),
  allocating('for its device', {
    of: ({ nic }) => ({ one: {}, devices: [nic] }),
    reason: ABSENT,
  }),
  { verb: 'FreePasids', name: 'its number', of: listOf, reason: NUMBER },
  {
    verb: 'FreePasids',
    name: 'a range around it',
    of: ({ pasid }) => ({ range: { first: pasid - 1, last: pasid + 9 } }),
    reason: { freed: 0 },
  },
  {
    verb: 'FreePasids',
    name: 'on its function',
    of: ({ vf, vfPasid }) => {
      return { scope: 'SCOPE_DEVICE', device: vf, pasids: { pasids: [vfPasid] } }
    },
    reason: ABSENT,
  },
  {
    verb: 'ListPasids',
    name: 'its page',
    of: ({ pageToken }) => ({ pageToken }),
    reason: 'PAGE_TOKEN_INVALID',
  },
  attaching('its device', ({ nic }) => nic),
  attaching('its function', ({ vf }) => vf),
  { verb: 'DetachDevice', name: 'its device', of: ({ nic }) => ({ device: nic }), reason: ABSENT },
  { verb: 'DetachDevice', name: 'its function', of: ({ vf }) => ({ device: vf }), reason: ABSENT },
  binding('its number', ({ pasid }) => ({ pasid, devices: [SHARED] }), NUMBER),
  binding('over it', ({ pasid }) => ({ pasid, devices: [SHARED], replace: true }), NUMBER),
  binding('on its device', ({ pasid, nic }) => ({ pasid, devices: [nic] }), ABSENT),
  binding('the RID of its device', ({ nic }) => ({ rid: true, devices: [nic] }), ABSENT),
  unbinding('its number', ({ pasid }) => ({ target: { pasid } }), 'NOT_BOUND'),
  unbinding('it there', (t) => ({ target: { pasid: t.pasid, devices: [SHARED] } }), 'NOT_BOUND'),
  unbinding('on its device', (t) => ({ target: { pasid: t.pasid, devices: [t.nic] } }), ABSENT),
  unbinding('all of its device', ({ nic }) => ({ device: nic }), ABSENT),
  unbinding('the RID of its device', (t) => ({ target: { rid: true, devices: [t.nic] } }), ABSENT),
  unbinding('all', () => ({ all: {} }), { unbound: 0 }),
  invalidating('its number', ({ pasid }) => ({ pasid: { pasid } }), NUMBER),
  invalidating('it there', ({ pasid }) => ({ pasid: { pasid, device: SHARED } }), NUMBER),
  invalidating('on its device', ({ pasid, nic }) => ({ pasid: { pasid, device: nic } }), ABSENT),
  invalidating('its addresses', addressesOf, NUMBER),
  invalidating('its domain', ({ domain }) => ({ domain: { domain } }), { done: 1, lost: [] }),
  raw('its table', (t) => ({ vtdS1: { pasid: t.pasid, device: SHARED, ...VTD_S1 } }), 'NOT_BOUND'),
  raw('on its device', (t) => ({ vtdS1: { pasid: t.pasid, device: t.nic, ...VTD_S1 } }), ABSENT),
  raw('the RID of its device', (t) => ({ vtdS1: { rid: true, device: t.nic, ...VTD_S1 } }), ABSENT),
  raw('its number in a structure', structureOf, { done: 1, error: 0, lost: [] }),
  raw('its number and domain in a queue', queueOf, { done: 2, error: 0, lost: [] }),
  raw('its device in a queue', (t) => ({ vtdDescriptors: { ...queueFor(t.nic) } }), ABSENT),
  {
    verb: 'MapGuestMemory',
    name: 'where its memory is',
    of: ({ guestAddress }) => {
      return { token: 'ab'.repeat(32), guestAddress: `${guestAddress}`, size: '4096' }
    },
    reason: 'MEMORY_TOKEN_INVALID',
  },
  {
    verb: 'UnmapGuestMemory',
    name: 'its memory',
    of: ({ guestAddress }) => ({ guestAddress: `${guestAddress}`, size: '4096' }),
    reason: 'MEMORY_NOT_FOUND',
  },
  {
    verb: 'UnmapGuestMemory',
    name: 'all memory',
    of: () => ({}),
    reason: { unmapped: 0 },
  },
  // As the series has it: what is not there is freed already.
  ioctl('its number, to free it', freeing, { result: 0, error: 0 }),
  ioctl('its number, to bind it', nesting, { result: -1, error: ERRNO.ENOENT }),
  {
    verb: 'RespondPageRequest',
    name: 'a page request',
    of: () => ({ token: 'AAAA', code: 'PAGE_RESPONSE_CODE_SUCCESS' }),
    reason: 'PAGE_REQUEST_NOT_FOUND',
  },
]

function listOf({ pasid }: Things): Message {
  return { pasids: { pasids: [pasid] } }
}

function addressesOf({ pasid }: Things): object {
  return { addresses: { pasid, address: '4096', pages: '1', leaf: false } }
}

function attaching(name: string, of: (things: Things) => string): Naming {
  const device = (things: Things) => ({ device: of(things) })
  const [reason, inside] = ['DEVICE_NOT_FOUND', 'DEVICE_IN_USE']
  return { verb: 'AttachDevice', name, of: device, reason, inside }
}

function binding(name: string, of: (things: Things) => object, reason: string): Naming {
  const whole = (things: Things) => ({ firstStage: FIRST_STAGE, ...of(things) })
  return { verb: 'BindPasid', name, of: whole, reason }
}

function raw(name: string, of: Naming['of'], reason: Naming['reason']): Naming {
  return { verb: 'InvalidateRaw', name, of, reason }
}

/** PASID granularity of iommu_cache_invalidate_info, by number. */
function structureOf({ pasid }: Things): Message {
  const [granularity, flags] = [1, 1]
  return { cacheInvalidateInfo: info({ granularity, flags, pasid }).toString('base64') }
}

/** PASID-based IOTLB and PASID cache of one number in one domain (VT-d 6.5.2). */
function queueOf({ pasid, domain }: Things): Message {
  const [did, number] = [BigInt(domain) << 16n, BigInt(pasid) << 32n]
  const bytes = queueBytes([0x26n | did | number, 0n], [0x17n | did | number, 0n])
  return { vtdDescriptors: { descriptors: bytes.toString('base64'), wide: true } }
}

/** Device-TLB of the source id that stands for the device. */
function queueFor(device: string): Message {
  const bytes = queueBytes([0x3n | (0x100n << 32n), 0n])
  const sourceIds = [{ sourceId: 0x100, device }]
  return { descriptors: bytes.toString('base64'), wide: true, sourceIds }
}

function freeing({ pasid }: Things): Message {
  const data = pasidRequest(FREE, pasid, pasid)
  return { request: REQUEST.PASID_REQUEST, data: data.toString('base64') }
}

function nesting({ pasid }: Things): Message {
  const data = withHeader(BIND_PGTBL, bindData({ hpasid: pasid }))
  return { request: REQUEST.NESTING_OP, data: data.toString('base64') }
}

function ioctl(name: string, of: Naming['of'], reason: Message): Naming {
  return { verb: 'Ioctl', name, of, reason }
}
