/**
 * The one table from refusal to gRPC status. Exhaustive by the compiler, and held against
 * docs/ERRORS.md by a test, both ways. Each message names what was wrong, its value, its bound, and
 * what to do; each variable of it is in ErrorInfo.metadata too.
 */

import { status } from '@grpc/grpc-js'
import type { RefusalCode } from '../core/refusal.js'
import { quoted } from './quote.js'
import { DEVICE_ROWS } from './status-devices.js'
import { plain, rangeText, retryText, type Rows } from './status-row.js'

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, UNAUTHENTICATED, UNAVAILABLE } = status
const { FAILED_PRECONDITION, RESOURCE_EXHAUSTED, OUT_OF_RANGE, UNIMPLEMENTED, ABORTED } = status
const { PERMISSION_DENIED } = status

export const STATUS_TABLE: Rows<RefusalCode> = {
  INVALID_ARGUMENT: {
    status: INVALID_ARGUMENT,
    message: (r) => `${r.field}: ${r.value} is refused; bound: ${r.bound}; ${r.remedy}`,
    metadata: plain,
    details: ({ field, value, bound, remedy }) => {
      return { badField: { field, description: `${value}; bound: ${bound}; ${remedy}` } }
    },
  },
  PAGE_TOKEN_INVALID: {
    status: INVALID_ARGUMENT,
    message: (r) => `page_token is not one of this list with these fields; ${r.remedy}`,
    metadata: plain,
    details: ({ remedy: description }) => ({ badField: { field: 'page_token', description } }),
  },
  FILTER_INVALID: {
    status: INVALID_ARGUMENT,
    message: (r) => `filter ${quoted(r.filter)}: ${r.problem}`,
    metadata: ({ filter, problem }) => ({ filter: quoted(filter), problem }),
    details: ({ problem: description }) => ({ badField: { field: 'filter', description } }),
  },
  FEATURE_NOT_AVAILABLE: {
    status: UNIMPLEMENTED,
    message: (r) => `${r.feature} is not available in this daemon; ${r.remedy}`,
    metadata: plain,
  },
  SESSION_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => `sessions/${r.session} does not exist; open a new session`,
    metadata: plain,
  },
  SESSION_TOKEN_WRONG: {
    status: UNAUTHENTICATED,
    message: (r) => {
      const remedy = 'send the token of OpenSession in the metadata entry pasid-session-token'
      return `the token is not that of sessions/${r.session}; ${remedy}`
    },
    metadata: plain,
  },
  SESSION_CLOSING: {
    status: FAILED_PRECONDITION,
    message: (r) => `sessions/${r.session} is being closed; open a new session`,
    metadata: plain,
  },
  SESSION_LINGERING: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      const why = `sessions/${r.session} has no owner and waits for a successor`
      return `${why}; ResumeSession first`
    },
    metadata: plain,
  },
  NOT_OWNER: {
    status: PERMISSION_DENIED,
    message: (r) => {
      const why = `sessions/${r.session} belongs to another process than the caller, pid ${r.pid}`
      return `${why}; call from its owner, or ResumeSession once that has ended`
    },
    metadata: plain,
  },
  IDENTITY_REFUSED: {
    status: UNAUTHENTICATED,
    message: (r) => `uid ${r.uid}, gid ${r.gid}, pid ${r.pid}: ${r.problem}; ${r.remedy}`,
    metadata: plain,
  },
  CALLER_ENDED: {
    status: UNAUTHENTICATED,
    message: (r) => {
      const why = `the process that made this connection, pid ${r.pid}, has ended`
      return `${why}; whoever still holds the connection is not it and must connect anew`
    },
    metadata: plain,
  },
  ROLE_NOT_ALLOWED: {
    status: PERMISSION_DENIED,
    message: (r) => `role ${r.role} of uid ${r.uid} may not ${r.action}; ${r.remedy}`,
    metadata: plain,
  },
  OWNER_TOKEN_INVALID: {
    status: FAILED_PRECONDITION,
    message: (r) => `owner_token is unknown, used, too old or another caller's; ${r.remedy}`,
    metadata: plain,
  },
  OWNER_ENDED: {
    status: FAILED_PRECONDITION,
    message: (r) => `the process that would own the session, pid ${r.pid}, has ended; name another`,
    metadata: plain,
  },
  SESSIONS_EXHAUSTED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => `the limit of ${r.limit} open sessions is reached; close one, or raise it`,
    metadata: plain,
    details: (r) => ({ quota: { subject: 'sessions', description: `at most ${r.limit} open` } }),
  },
  REQUEST_ID_REUSED: {
    status: INVALID_ARGUMENT,
    message: (r) => {
      const remedy = 'repeat a call unchanged, or give a new call a new UUID'
      return `request_id ${r.requestId} was used for ${r.method} with other arguments; ${remedy}`
    },
    metadata: plain,
    details: (r) => {
      const description = `used for ${r.method} with other arguments`
      return { badField: { field: 'request_id', description } }
    },
  },
  REQUEST_IDS_EXHAUSTED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => {
      return `all ${r.limit} request ids are remembered; retry later, or send none`
    },
    metadata: plain,
    details: (r) => ({ quota: { subject: 'request ids', description: `at most ${r.limit}` } }),
  },
  RANGE_EMPTY: {
    status: OUT_OF_RANGE,
    message: (r) => {
      const allowed = `the tenant's window ${rangeText(r.window)} and ${r.widthBits} bits`
      return `min..max ${rangeText(r.asked)} has nothing in common with ${allowed}; ask inside them`
    },
    metadata: ({ asked, window, widthBits }) => {
      return { asked: rangeText(asked), window: rangeText(window), widthBits }
    },
    details: (r) => {
      const description = `window ${rangeText(r.window)}, width ${r.widthBits} bits`
      return { badField: { field: 'min, max', description } }
    },
  },
  PASID_OUT_OF_RANGE: {
    status: OUT_OF_RANGE,
    message: (r) => `PASID ${r.pasid} is outside ${rangeText(r.allowed)}; ask for one inside`,
    metadata: ({ pasid, allowed }) => ({ pasid, allowed: rangeText(allowed) }),
    details: (r) => {
      const description = `${r.pasid} is outside ${rangeText(r.allowed)}`
      return { badField: { field: 'exact.pasids', description } }
    },
  },
  PASID_RESERVED: {
    status: FAILED_PRECONDITION,
    message: (r) => `PASID ${r.pasid} is reserved (${r.reason}); ask for another`,
    metadata: plain,
  },
  PASID_TAKEN: {
    status: ALREADY_EXISTS,
    message: (r) => `PASID ${r.pasid} of scope ${r.scope} is held by another; ask for another`,
    metadata: plain,
  },
  PASID_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => {
      return `no PASID ${r.pasid} is held in scope ${r.scope}; see ListPasids for what is`
    },
    metadata: plain,
  },
  PASID_BEING_FREED: {
    status: FAILED_PRECONDITION,
    message: (r) => `PASID ${r.pasid} was given back and is being freed; allocate another`,
    metadata: plain,
  },
  QUOTA_EXCEEDED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => {
      const kept = r.aside === 0 ? '' : `, ${r.aside} kept for guarantees`
      const use = `${r.asked} asked, ${r.used} of ${r.limit} PASIDs used${kept}`
      return `quota of ${r.level} ${r.subject}: ${use}; free some, or have the limit raised`
    },
    metadata: plain,
    details: (r) => {
      const description = `${r.asked} asked, ${r.used} of ${r.limit} used`
      return { quota: { subject: `${r.level}:${r.subject}`, description } }
    },
  },
  NAMESPACE_EXHAUSTED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => {
      const remedy = r.retryMs === undefined ? 'free some, or widen min..max' : retryText(r.retryMs)
      const left = `${r.free} of ${rangeText(r.range)} are free in scope ${r.scope}`
      return `no place for ${r.asked} PASIDs: ${left}; ${remedy}`
    },
    metadata: ({ scope, range, asked, free, retryMs }) => {
      return { scope, range: rangeText(range), asked, free, ...(retryMs && { retryMs }) }
    },
    details: ({ scope, free }) => {
      return { quota: { subject: `scope ${scope}`, description: `${free} free` } }
    },
  },
  GENERATION_STALE: {
    status: ABORTED,
    message: (r) => {
      const now = `is of grant ${r.current} by now, not ${r.generation}`
      return `PASID ${r.pasid} of scope ${r.scope} ${now}; look again before you release it`
    },
    metadata: plain,
  },
  TENANT_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => `tenants/${r.tenant} is not in the configuration; ListTenants shows which are`,
    metadata: plain,
  },
  ETAG_STALE: {
    status: ABORTED,
    message: (r) => {
      const now = `is not the current one, ${r.current}`
      return `etag ${quoted(r.etag)} of tenants/${r.tenant} ${now}; decide on that`
    },
    metadata: ({ tenant, etag, current }) => ({ tenant, etag: quoted(etag), current }),
  },
  SCOPE_NOT_ALLOWED: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      return `devices/${r.device} is in scope ${r.allowed}, not ${r.scope}; use scope ${r.allowed}`
    },
    metadata: plain,
  },
  ...DEVICE_ROWS,
  LEDGER_UNAVAILABLE: {
    status: UNAVAILABLE,
    message: (r) => `the ledger cannot be written now; ${retryText(r.retryMs)}`,
    metadata: plain,
  },
  BACKEND_UNAVAILABLE: {
    status: UNAVAILABLE,
    message: (r) => {
      return `devices/${r.device} cannot be reached now: ${r.problem}; ${retryText(r.retryMs)}`
    },
    metadata: plain,
  },
  BACKEND_REFUSED: {
    status: FAILED_PRECONDITION,
    message: (r) => `devices/${r.device} refused: ${r.problem}; the same call will fail again`,
    metadata: plain,
  },
  OVERLOADED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => `the limit of ${r.limit} ${r.what} is reached; slow down and retry`,
    metadata: plain,
    details: (r) => ({ quota: { subject: r.what, description: `at most ${r.limit}` } }),
  },
  RATE_LIMITED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => {
      const limit = `${r.limit} calls of ${r.method} a second`
      return `${r.tenant} is beyond ${limit}; ${retryText(r.retryMs)}`
    },
    metadata: plain,
    details: (r) => {
      const description = `at most ${r.limit} a second of ${r.method}`
      return { quota: { subject: r.tenant, description } }
    },
  },
  DRAINING: {
    status: UNAVAILABLE,
    message: () => 'the daemon is stopping; connect again once it is back',
    metadata: plain,
  },
}
