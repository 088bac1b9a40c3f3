/** The configuration file as it is written: every key with its bounds and default. */

import { z } from 'zod'
import { DEVICES_MAX, PASID_BITS_MAX, PASID_LAST } from '../../core/ids.js'
import {
  DEVICES_PER_SESSION_MAX,
  HOLD_MS_DEFAULT,
  HOLD_MS_MAX,
  REQUEST_IDS_DEFAULT,
  RESERVATION_REASON_LENGTH_MAX,
  RESERVATIONS_MAX,
  SESSION_PASIDS_DEFAULT,
  SESSIONS_DEFAULT,
  TENANTS_MAX,
} from '../../core/limits.js'
import { DEFAULT_SERVICE_LIMITS } from '../../service/limits.js'
import * as field from './fields.js'
import * as identity from './identity-fields.js'

/** Over all scopes: every device may have a numbering of its own. */
const CHARGED_LAST = 2 ** 32 - 1
const SESSIONS_LAST = 1_048_576
/** Of identity rules, and of operator rules. A caller is held against one after the other. */
const RULES_MAX = 1024
const COMMANDS_PER_SECOND_LAST = 10_000_000
/** Bus, device and function. */
const SOURCE_ID_LAST = 0xffff
const SYSTEM_NAME_LENGTH_MAX = 64
const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const KIB = 1024
const ABSENT_INHERITS = 'leave it out to inherit, 0 denies'
const NO_RATE = '0 is no limit'

const pasid = () => field.count(1, PASID_LAST)
/** Of a device. Left out, others may say it. */
const scope = () => field.choice(['HOST', 'DEVICE']).optional()

/** Owner, group and modes of one socket; the prefix tells which. */
function access<const P extends string>(prefix: P) {
  const shape = {
    [`${prefix}_owner`]: field.text(SYSTEM_NAME_LENGTH_MAX).optional(),
    [`${prefix}_group`]: field.text(SYSTEM_NAME_LENGTH_MAX).optional(),
    [`${prefix}_mode`]: field.mode().optional(),
    [`${prefix}_directory_mode`]: field.mode().optional(),
  }
  return shape as {
    [K in `${P}_owner` | `${P}_group`]: z.ZodOptional<z.ZodType<string>>
  } & { [K in `${P}_mode` | `${P}_directory_mode`]: z.ZodOptional<z.ZodType<number>> }
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

export const daemonSchema = field.table({
  state_dir: field.absolutePath().optional(),
  vmm_socket: field.absolutePath().optional(),
  ...access('vmm'),
  vmm_tenant: field.name().default('default'),
  admin_socket: field.absolutePath().optional(),
  ...access('admin'),
  fd_socket: field.absolutePath().optional(),
  ...access('fd'),
  metrics_socket: field.absolutePath().optional(),
  ...access('metrics'),
  log_level: field.choice(LOG_LEVELS).default('info'),
  corrupt_ledger: field.choice(['refuse', 'move-aside']).default('refuse'),
  stop_grace: field.duration(0, 600 * SECOND_MS).default(3 * SECOND_MS),
  audit_events: field.count(1000, 10_000_000).default(100_000),
})

/** Of a caller; all that are given must hold. */
const match = {
  uid: identity.accountId('user').optional(),
  gid: identity.accountId('group').optional(),
  cgroup: identity.cgroupPath().optional(),
  label: identity.securityLabel().optional(),
  executable: field.absolutePath().optional(),
}

export const ruleSchema = field.table({
  role: field.choice(['vmm', 'delegate']).default('vmm'),
  tenant: field.name().optional(),
  tenants: field.list(field.name(), TENANTS_MAX).optional(),
  ...match,
})

export const operatorSchema = field.table({
  role: field.choice(['operator', 'observer']).default('operator'),
  ...match,
})

export const identitySchema = field.table({
  unmatched: field.choice(['socket-tenant', 'refuse']).optional(),
  rule: field.list(z.unknown(), RULES_MAX).optional(),
  operator: field.list(z.unknown(), RULES_MAX).optional(),
})

export const reclaimSchema = field.table({
  sweep_interval: field.duration(100, HOUR_MS).default(10 * SECOND_MS),
  sweep_budget: field.duration(10, 10 * SECOND_MS).default(250),
  sweep_sessions: field.count(1, SESSIONS_LAST).default(1000),
  breaker_share: field.count(0, 100, '100 is never').default(25),
  breaker_floor: field.count(0, SESSIONS_LAST).default(8),
  linger_max: field.duration(0, HOUR_MS).default(60 * SECOND_MS),
  stuck_after: field.duration(0, HOUR_MS).default(10 * SECOND_MS),
  unproven_hold: field.duration(0, 24 * HOUR_MS).default(60 * SECOND_MS),
})

export const reservationSchema = field.table({
  first: pasid(),
  last: pasid(),
  reason: field.text(RESERVATION_REASON_LENGTH_MAX),
})

export const namespaceSchema = field.table({
  hold: field.duration(0, HOLD_MS_MAX).default(HOLD_MS_DEFAULT),
  reservations: field.list(z.unknown(), RESERVATIONS_MAX).optional(),
  max_pasids: field.count(0, CHARGED_LAST, 'leave it out for no limit').optional(),
  session_max_pasids: field.count(0, PASID_LAST).default(SESSION_PASIDS_DEFAULT),
  max_sessions: field.count(0, SESSIONS_LAST).default(SESSIONS_DEFAULT),
  max_request_ids: field.count(1024, 16 * REQUEST_IDS_DEFAULT).default(REQUEST_IDS_DEFAULT),
})

export const tenantSchema = field.table({
  name: field.name(),
  parent: field.name().optional(),
  max_pasids: field.count(0, CHARGED_LAST, ABSENT_INHERITS).optional(),
  guaranteed_pasids: field.count(0, CHARGED_LAST, 'leave it out for none').optional(),
  session_max_pasids: field.count(0, PASID_LAST, ABSENT_INHERITS).optional(),
  max_sessions: field.count(0, SESSIONS_LAST, ABSENT_INHERITS).optional(),
  window: field.table({ first: pasid(), last: pasid() }).optional(),
  devices: field.list(field.table({ name: field.name(), scope: scope() }), DEVICES_MAX).optional(),
  socket: field.absolutePath().optional(),
  ...access('socket'),
})

const addressWidth = field.leaf('48 or 57', (value) =>
  value === 48 || value === 57 ? value : undefined,
)

/** Kinds that somebody might look for after reading of the 2020 work; none can be served. */
const KINDS_OF_2020: readonly unknown[] = ['vfio-2020', 'vfio-type1']
const WHY_NOT_2020 =
  'which no kernel has: the ioctls of 2020 were never merged, and their numbers mean other ' +
  'things today (0x3b76, VFIO_IOMMU_PASID_REQUEST then, is VFIO_DEVICE_BIND_IOMMUFD); set kind = ' +
  '"native" for iommufd; programs written for them can call VfioUapi, with kind = "emulator"'

function backendKind() {
  const known = field.choice(['emulator', 'native'])
  return z
    .unknown()
    .superRefine((value, context) => {
      if (!KINDS_OF_2020.includes(value)) return
      const message = `is ${field.shown(value)}, ${WHY_NOT_2020}`
      context.addIssue({ code: 'custom', message, continue: false })
    })
    .pipe(known)
}

export const backendSchema = field.table({
  kind: backendKind().default('emulator'),
  device: field.list(z.unknown(), DEVICES_MAX).optional(),
  call_deadline: field.duration(100, 60 * SECOND_MS).optional(),
  threads_per_session: field.count(1, DEVICES_PER_SESSION_MAX).optional(),
})

const emulatedKeys = {
  pasid_bits: field.count(0, PASID_BITS_MAX).optional(),
  translation: field.choice(['NONE', 'MEDIATED']).default('MEDIATED'),
  shared: field.flag().default(false),
  group: field.name().optional(),
  platform: field.choice(['INTEL_VTD', 'ARM_SMMUV3', 'AMD']).default('INTEL_VTD'),
  address_widths: field.list(addressWidth, 2).optional(),
  supervisor_requests: field.flag().default(false),
  extended_accessed: field.flag().default(false),
  pass_through: field.flag().optional(),
  hitless_replace: field.flag().default(false),
  page_requests: field.flag().default(false),
  ats: field.flag().default(true),
  source_id: field.count(0, SOURCE_ID_LAST).optional(),
}

/** Of the emulator. */
export const deviceSchema = field.table(
  { name: field.name(), scope: scope(), ...emulatedKeys },
  { address: 'it is a key of native devices, with [backend] kind = "native"' },
)

const HARDWARE_SAYS = 'of a native device the hardware and the kernel say it; leave it out'

/** Of the host. */
export const nativeDeviceSchema = field.table(
  { name: field.name(), address: field.pciAddress(), scope: scope() },
  {
    ...Object.fromEntries(Object.keys(emulatedKeys).map((key) => [key, HARDWARE_SAYS])),
    translation: 'nothing translates the numbers of a function behind vfio-pci; leave it out',
    shared: 'a function behind vfio-pci is in the hands of one session at a time; leave it out',
    source_id: 'the address says it; leave it out',
  },
)

export const limitsSchema = field.table({
  connections: field.count(1, 65_536).default(1024),
  connections_per_uid: field.count(1, 65_536).default(256),
  first_byte: field.duration(100, 600 * SECOND_MS).default(10 * SECOND_MS),
  message_bytes: field.count(64 * KIB, 16 * KIB * KIB).default(DEFAULT_SERVICE_LIMITS.messageBytes),
  streams_per_connection: field
    .count(1, 65_536)
    .default(DEFAULT_SERVICE_LIMITS.streamsPerConnection),
  connection_megabytes: field.count(1, 4096).default(DEFAULT_SERVICE_LIMITS.connectionMegabytes),
  control_in_flight: field.count(1, 65_536).default(DEFAULT_SERVICE_LIMITS.controlInFlight),
  control_events: field.count(16, 1_048_576).default(DEFAULT_SERVICE_LIMITS.controlEvents),
  calls_in_flight: field.count(16, 1_048_576).default(DEFAULT_SERVICE_LIMITS.callsInFlight),
  tenant_calls_in_flight: field.count(1, 1_048_576).optional(),
  calls_per_second: field.count(0, 1_000_000, NO_RATE).default(2000),
  calls_burst: field.count(1, 1_000_000).default(4000),
  commands_per_second: field.count(0, COMMANDS_PER_SECOND_LAST, NO_RATE).default(200_000),
  commands_burst: field.count(1, COMMANDS_PER_SECOND_LAST).default(200_000),
  rate_wait: field.duration(0, 60 * SECOND_MS).default(SECOND_MS),
  watchers: field.count(0, 65_536).default(64),
  watch_backlog: field.count(16, 1_048_576).default(8192),
  page_request_deadline: field.duration(100, 60 * SECOND_MS).default(5 * SECOND_MS),
  page_requests_pending: field.count(1, 65_536).optional(),
})

/** The keys of the file's outermost table. */
export const SECTIONS = [
  'daemon',
  'identity',
  'namespace',
  'tenant',
  'backend',
  'reclaim',
  'limits',
] as const

export type DaemonSection = z.output<typeof daemonSchema>
export type IdentitySection = z.output<typeof identitySchema>
export type RuleEntry = z.output<typeof ruleSchema>
export type OperatorEntry = z.output<typeof operatorSchema>
export type ReclaimSection = z.output<typeof reclaimSchema>
export type NamespaceSection = z.output<typeof namespaceSchema>
export type ReservationEntry = z.output<typeof reservationSchema>
export type TenantEntry = z.output<typeof tenantSchema>
export type BackendSection = z.output<typeof backendSchema>
export type DeviceEntry = z.output<typeof deviceSchema>
export type NativeDeviceEntry = z.output<typeof nativeDeviceSchema>
export type LimitsSection = z.output<typeof limitsSchema>
