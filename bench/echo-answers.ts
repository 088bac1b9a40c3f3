/** The constants that the echo answers with: messages as pasidd's own, and as long. */

import type { ControlRequest } from '../src/wire/generated/pasid/v1/ControlRequest.js'
import type { ControlResponse } from '../src/wire/generated/pasid/v1/ControlResponse.js'

/** A grant somewhere in the middle of the numbers, in a ledger that is not new. */
const PASID = 123_456
const REVISION = 1_234_567

export const ECHO_ANSWERS = {
  open: { opened: { incarnation: '0'.repeat(32), recoveredRevision: 0, inFlightMax: 256 } },
  allocatePasids: {
    allocatePasids: {
      ranges: [{ first: PASID, last: PASID }],
      generation: REVISION,
      headroom: { session: PASID, scope: PASID },
    },
  },
  freePasids: { freePasids: { freed: 1, durable: true } },
  listPasids: { listPasids: {} },
  attachDevice: { attachDevice: { device: { name: 'devices/emu0' } } },
  detachDevice: { detachDevice: { unbound: 0, durable: true } },
  bindPasid: { bindPasid: { revision: REVISION } },
  unbindPasids: { unbindPasids: { unbound: 1 } },
  invalidate: { invalidate: { done: 1 } },
  invalidateRaw: { invalidateRaw: { done: 1 } },
  respondPageRequest: { respondPageRequest: {} },
  getSession: { getSession: { name: 'sessions/echo' } },
} satisfies Record<NonNullable<ControlRequest['command']>, Omit<ControlResponse, 'id'>>
