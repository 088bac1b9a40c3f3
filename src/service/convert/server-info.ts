/** GetServerInfo: what this daemon is, may, and cannot yet. */

import type { BrokerInfo } from '../../broker/answers.js'
import type { Caller } from '../../broker/caller.js'
import {
  DEVICES_PER_CALL_MAX,
  INVALIDATE_ENTRIES_MAX,
  LABELS_MAX,
  NUMBERS_PER_CALL_MAX,
} from '../../core/limits.js'
import type { Feature } from '../../wire/generated/pasid/v1/Feature.js'
import type { ServerInfo } from '../../wire/generated/pasid/v1/ServerInfo.js'
import type { ServiceLimits } from '../limits.js'
import { VFIO_UAPI_REMEDY } from '../vfio/native.js'
import { callerProto } from './process.js'
import { duration, timestamp } from './time.js'

/** What every daemon does, whatever is behind it. */
const EVERYWHERE: readonly Required<Feature>[] = [
  available('allocate', 'one number within min..max'),
  available('block', 'naturally aligned blocks of up to 4096 numbers'),
  available('exact', 'numbers by name, all or none'),
  available('device-scope', 'numbers that are unique on one exclusively attached device'),
  available('bind', 'first-stage and pass-through tables, on PASIDs and RIDs, several devices'),
  available('replace', 'a table takes the place of another; see Device.hitless_replace'),
  available('invalidate', 'at domain, PASID and address granularity, in batches'),
  available('invalidate-raw', 'the same as structures of Linux or descriptors of VT-d, as bytes'),
  available('control', 'all commands and the events of a session on one stream'),
  available('idempotency', 'request_id on calls that change something durable'),
  available(
    'kernel-caller-identity',
    'tenant and role follow from what the kernel says of a caller',
  ),
  available('delegates', 'a configured manager opens sessions for processes handed over by pidfd'),
  available('owner-death-reclaim', 'what a process held is taken back when it ends'),
  available('linger', 'a session may outlive its owner for a while, until a successor resumes it'),
  available('forced-release', 'operators end sessions and take single PASIDs back'),
  available('live-quota', "operators change a tenant's limits while the daemon runs"),
  available('watch', 'operators follow durable changes from a revision on'),
  available('audit', 'operators list what was done to what somebody has, and what was refused'),
]

/** What depends on the backend: the same names for each. */
const OF_BACKEND: Readonly<Record<BrokerInfo['backend'], readonly Required<Feature>[]>> = {
  emulator: [
    available('guest-memory', "a VM's memory, as memfd over the side socket; see MapGuestMemory"),
    available(
      'page-requests',
      'to the Control stream that asked for them; see Device.page_requests',
    ),
    available('device-faults', "faults of a session's bindings, and resets, as events on Control"),
    missing(
      'native-backend',
      'tables are in force in the emulator only; backend.kind = "native" has hardware',
    ),
    available('emulator-lab', 'operators look into the emulator and act as its devices'),
    available(
      'vfio-uapi',
      'the ioctls of the 2020 vSVA series, byte for byte; the service VfioUapi',
    ),
  ],
  vfio: [
    missing('guest-memory', 'the hardware walks it; map it on the IOAS of your own iommufd'),
    available(
      'page-requests',
      'to the Control stream that asked for them, of devices handed over without a fault_id',
    ),
    missing(
      'device-faults',
      'the kernel hands no unrecoverable fault or reset to user space; read its log',
    ),
    available(
      'native-backend',
      'tables are in force in hardware, on devices attached with hand_over; without, numbers only',
    ),
    missing('emulator-lab', 'there is no emulator; start a daemon with backend.kind = "emulator"'),
    missing('vfio-uapi', `no kernel serves those ioctls; ${VFIO_UAPI_REMEDY}`),
  ],
}

function available(name: string, note: string): Required<Feature> {
  return { name, available: true, note }
}

function missing(name: string, note: string): Required<Feature> {
  return { name, available: false, note }
}

export function serverInfoProto(
  { version, limits }: { readonly version: string; readonly limits: ServiceLimits },
  info: BrokerInfo,
  caller: Caller,
): ServerInfo {
  return {
    version,
    incarnation: info.incarnation,
    ledgerId: info.ledgerId,
    recoveredRevision: info.recoveredRevision,
    durableRevision: info.durableRevision,
    backend: info.backend,
    startTime: timestamp(info.startedAt),
    hold: duration(info.holdMs),
    writable: info.writable,
    features: [...EVERYWHERE, ...OF_BACKEND[info.backend]],
    limits: {
      messageBytes: limits.messageBytes,
      controlInFlight: limits.controlInFlight,
      pasidsPerCall: NUMBERS_PER_CALL_MAX,
      invalidateEntries: INVALIDATE_ENTRIES_MAX,
      devicesPerCall: DEVICES_PER_CALL_MAX,
      labels: LABELS_MAX,
      linger: duration(info.lingerMsMax),
    },
    caller: callerProto(caller),
  }
}
