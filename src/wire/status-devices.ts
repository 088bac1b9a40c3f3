/** Refusals about devices, bindings, guest memory and page requests: rows of the table. */

import { status } from '@grpc/grpc-js'
import { onDevice, plain, targetText, type Rows } from './status-row.js'

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, ABORTED } = status
const { FAILED_PRECONDITION, RESOURCE_EXHAUSTED, OUT_OF_RANGE } = status

type DeviceCode =
  | 'DEVICE_NOT_FOUND'
  | 'DEVICE_NOT_ATTACHED'
  | 'DEVICE_ALREADY_ATTACHED'
  | 'DEVICE_IN_USE'
  | 'DEVICES_EXHAUSTED'
  | 'PASID_BEYOND_DEVICE_WIDTH'
  | 'GUEST_PASID_MISMATCH'
  | 'GUEST_PASID_TAKEN'
  | 'TABLE_UNSUPPORTED'
  | 'ALREADY_BOUND'
  | 'NOT_BOUND'
  | 'RID_NOT_AVAILABLE'
  | 'BIND_SUPERSEDED'
  | 'INVALIDATION_UNSUPPORTED'
  | 'DEVICE_EXISTS'
  | 'GROUP_TABLE_MISMATCH'
  | 'HAND_OVER_TOKEN_INVALID'
  | 'HAND_OVER_REFUSED'
  | 'DEVICE_NOT_HANDED_OVER'
  | 'MEMORY_TOKEN_INVALID'
  | 'MEMORY_REFUSED'
  | 'MEMORY_OVERLAPS'
  | 'MEMORY_NOT_FOUND'
  | 'MEMORY_EXHAUSTED'
  | 'PAGE_REQUEST_NOT_FOUND'

export const DEVICE_ROWS: Rows<DeviceCode> = {
  DEVICE_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => `there is no devices/${r.device} that you may use; check its name`,
    metadata: plain,
  },
  DEVICE_NOT_ATTACHED: {
    status: FAILED_PRECONDITION,
    message: (r) => `devices/${r.device} is not attached to the session; AttachDevice first`,
    metadata: plain,
  },
  DEVICE_ALREADY_ATTACHED: {
    status: ALREADY_EXISTS,
    message: (r) =>
      `devices/${r.device} is attached to the session already; go on, or DetachDevice`,
    metadata: plain,
  },
  DEVICE_IN_USE: {
    status: FAILED_PRECONDITION,
    message: (r) => `devices/${r.device} is attached to another session; wait until it is let go`,
    metadata: plain,
  },
  DEVICES_EXHAUSTED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => `the session has ${r.limit} devices, the most it may; detach one`,
    metadata: plain,
    details: (r) => ({ quota: { subject: 'devices', description: `at most ${r.limit}` } }),
  },
  PASID_BEYOND_DEVICE_WIDTH: {
    status: OUT_OF_RANGE,
    message: (r) => {
      const width = `the ${r.widthBits} bits of devices/${r.device}`
      return `PASID ${r.pasid} is beyond ${width}; allocate with that device named`
    },
    metadata: plain,
    details: (r) => {
      return { badField: { field: 'pasid', description: `${r.pasid} > 2^${r.widthBits} - 1` } }
    },
  },
  GUEST_PASID_MISMATCH: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      const why = `devices/${r.device} translates no PASIDs, so guest_pasid must be ${r.pasid}`
      return `guest_pasid ${r.guestPasid} differs from PASID ${r.pasid}: ${why}; leave it out`
    },
    metadata: plain,
  },
  GUEST_PASID_TAKEN: {
    status: ALREADY_EXISTS,
    message: (r) => {
      const use = `PASID ${r.pasid} has it on devices/${r.device}`
      return `guest_pasid ${r.guestPasid} is in use: ${use}; unbind that, or use another`
    },
    metadata: plain,
  },
  TABLE_UNSUPPORTED: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      return `${r.field}: devices/${r.device} does not take ${r.value}; it takes ${r.supported}`
    },
    metadata: plain,
  },
  ALREADY_BOUND: {
    status: ALREADY_EXISTS,
    message: (r) => {
      return `${targetText(r.target)} is bound${onDevice(r.device)} already; unbind, or set replace`
    },
    metadata: plain,
  },
  NOT_BOUND: {
    status: NOT_FOUND,
    message: (r) => `${targetText(r.target)} is not bound${onDevice(r.device)}; BindPasid first`,
    metadata: plain,
  },
  RID_NOT_AVAILABLE: {
    status: FAILED_PRECONDITION,
    message: (r) => `devices/${r.device} is shared, so nobody may bind its RID; bind a PASID`,
    metadata: plain,
  },
  BIND_SUPERSEDED: {
    status: ABORTED,
    message: (r) => {
      const what = `${targetText(r.target)}${onDevice(r.device)}`
      return `another command for ${what} is under way or came first; see ListPasids, then retry`
    },
    metadata: plain,
  },
  INVALIDATION_UNSUPPORTED: {
    status: INVALID_ARGUMENT,
    message: (r) => {
      const why = `granularity ${r.granularity} does not take ${r.caches}`
      return `entries[${r.entry}].caches: ${why}; InvalidationEntry says which it takes`
    },
    metadata: plain,
    details: (r) => {
      const description = `granularity ${r.granularity} does not take ${r.caches}`
      return { badField: { field: `entries[${r.entry}].caches`, description } }
    },
  },
  DEVICE_EXISTS: {
    status: ALREADY_EXISTS,
    message: (r) => `devices/${r.device} is there already; give the new one another name`,
    metadata: plain,
  },
  GROUP_TABLE_MISMATCH: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      const other = `devices/${r.other} of its IOMMU group ${r.group} has another table there`
      return `${targetText(r.target)}${onDevice(r.device)}: ${other}; bind the same one, or replace`
    },
    metadata: plain,
  },
  HAND_OVER_TOKEN_INVALID: {
    status: FAILED_PRECONDITION,
    message: (r) => `hand_over.token is unknown, used, too old or another caller's; ${r.remedy}`,
    metadata: plain,
  },
  HAND_OVER_REFUSED: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      return `what was handed over as devices/${r.device} is refused: ${r.problem}; ${r.remedy}`
    },
    metadata: plain,
  },
  DEVICE_NOT_HANDED_OVER: {
    status: FAILED_PRECONDITION,
    message: (r) => {
      const remedy = 'detach it and attach it with hand_over, or attach its PASIDs by yourself'
      return `the broker has no descriptors of devices/${r.device}, only its numbers; ${remedy}`
    },
    metadata: plain,
  },
  MEMORY_TOKEN_INVALID: {
    status: FAILED_PRECONDITION,
    message: (r) => `token is unknown, used, too old or another caller's; ${r.remedy}`,
    metadata: plain,
  },
  MEMORY_REFUSED: {
    status: FAILED_PRECONDITION,
    message: (r) => `the guest memory is refused: ${r.problem}; ${r.remedy}`,
    metadata: plain,
  },
  MEMORY_OVERLAPS: {
    status: ALREADY_EXISTS,
    message: (r) => `${r.asked} overlaps ${r.mapped}, which is mapped; unmap that first`,
    metadata: plain,
  },
  MEMORY_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => {
      const remedy = 'unmap a range as it was mapped; read and write only what is mapped'
      return `${r.asked} is not mapped, not all of it, not as one range, or read-only; ${remedy}`
    },
    metadata: plain,
  },
  MEMORY_EXHAUSTED: {
    status: RESOURCE_EXHAUSTED,
    message: (r) => `the session has ${r.limit} ranges of guest memory mapped; unmap one`,
    metadata: plain,
    details: (r) => {
      return { quota: { subject: 'guest memory', description: `at most ${r.limit} ranges` } }
    },
  },
  PAGE_REQUEST_NOT_FOUND: {
    status: NOT_FOUND,
    message: (r) => `no page request of the session waits for this token; ${r.remedy}`,
    metadata: plain,
  },
}
