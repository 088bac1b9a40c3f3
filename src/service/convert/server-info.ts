/** GetServerInfo: what this daemon is, may, and cannot yet. */

import type { BrokerInfo } from '../../broker/answers.js'
import {
  DEVICES_PER_CALL_MAX,
  INVALIDATE_ENTRIES_MAX,
  LABELS_MAX,
  NUMBERS_PER_CALL_MAX,
} from '../../core/limits.js'
import type { Feature } from '../../wire/generated/pasid/v1/Feature.js'
import type { ServerInfo } from '../../wire/generated/pasid/v1/ServerInfo.js'
import type { ServiceLimits } from '../limits.js'
import { duration, timestamp } from './time.js'

const FEATURES: readonly Required<Feature>[] = [
  available('allocate', 'one number within min..max'),
  available('block', 'naturally aligned blocks of up to 4096 numbers'),
  available('exact', 'numbers by name, all or none'),
  available('device-scope', 'numbers that are unique on one exclusively attached device'),
  available('bind', 'first-stage and pass-through tables, on PASIDs and RIDs, several devices'),
  available('replace', 'a table takes the place of another; see Device.hitless_replace'),
  available('invalidate', 'at domain, PASID and address granularity, in batches'),
  available('control', 'all commands and the events of a session on one stream'),
  available('idempotency', 'request_id on calls that change something durable'),
  missing('kernel-caller-identity', 'the tenant follows from the socket, not from the caller'),
  missing('owner-death-reclaim', 'a session whose process died stays open until CloseSession'),
  missing('linger', 'no hand-over of a session to a successor; its token is what counts'),
  missing('page-requests', 'none is delivered, and RespondPageRequest finds none'),
  missing('native-backend', 'tables are in force in the emulator only, not in hardware'),
  missing('forced-release', 'operators cannot take a PASID or a session away'),
  missing('live-quota', 'limits change with a restart of the daemon'),
  missing('watch', 'there is no stream of changes; list again and compare revisions'),
  missing('audit', 'there is no list of past changes'),
  missing('emulator-lab', 'the emulator cannot be looked into over this API'),
  missing('vfio-uapi', 'the binary structures of 2020 are not served'),
]

function available(name: string, note: string): Required<Feature> {
  return { name, available: true, note }
}

function missing(name: string, note: string): Required<Feature> {
  return { name, available: false, note }
}

export function serverInfoProto(
  info: BrokerInfo,
  version: string,
  limits: ServiceLimits,
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
    features: [...FEATURES],
    limits: {
      messageBytes: limits.messageBytes,
      controlInFlight: limits.controlInFlight,
      pasidsPerCall: NUMBERS_PER_CALL_MAX,
      invalidateEntries: INVALIDATE_ENTRIES_MAX,
      devicesPerCall: DEVICES_PER_CALL_MAX,
      labels: LABELS_MAX,
    },
  }
}
