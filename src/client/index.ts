/** The typed client of pasidd: everything that users of it import. */

export type { Allocation__Output as Allocation } from '../wire/generated/pasid/v1/Allocation.js'
export type { AuditEvent__Output as AuditEvent } from '../wire/generated/pasid/v1/AuditEvent.js'
export type { Binding__Output as Binding } from '../wire/generated/pasid/v1/Binding.js'
export type { Device__Output as Device } from '../wire/generated/pasid/v1/Device.js'
export type { HandOver } from '../wire/generated/pasid/v1/HandOver.js'
export type { Namespace__Output as Namespace } from '../wire/generated/pasid/v1/Namespace.js'
export type { Process__Output as Process } from '../wire/generated/pasid/v1/Process.js'
export type { Reclaim__Output as Reclaim } from '../wire/generated/pasid/v1/Reclaim.js'
export type { Reservation__Output as Reservation } from '../wire/generated/pasid/v1/Reservation.js'
export type { Session__Output as Session } from '../wire/generated/pasid/v1/Session.js'
export type { Tenant__Output as Tenant } from '../wire/generated/pasid/v1/Tenant.js'
export type { WatchEvent__Output as WatchEvent } from '../wire/generated/pasid/v1/WatchEvent.js'
export type { ChannelSettings } from './channel.js'
export { ControlSession } from './control.js'
export type { ControlCommand, ControlEvent, ControlOptions } from './control.js'
export { EmulatorLab, FaultWatch } from './emulator.js'
export type {
  AccessOptions,
  DumpOptions,
  EmulatedTargetChoice,
  EmulatorState,
  InjectOptions,
  KeptOptions,
  MapOptions,
  PageRequestOptions,
  RecordedFault,
  SubmitOptions,
  TranslateResponse,
  WatchFaultsResponse,
} from './emulator.js'
export { PasidError } from './error.js'
export type { ServingStatus } from './health.js'
export { OperatorClient } from './operator.js'
export type { ActOptions, CheckResponse, FilterOptions, ScopeChoice } from './operator.js'
export { rowsOf } from './pages.js'
export type { PageOptions } from './pages.js'
export { PasidClient, PasidSession } from './pasid.js'
export type { OpenOptions, Resumed, ResumeOptions } from './pasid.js'
export type { RetryPolicy } from './retry.js'
export type { TenantChange, TenantLimits } from './tenant.js'
export { Watch } from './watch.js'
export type { WatchOptions, WatchResponse } from './watch.js'
