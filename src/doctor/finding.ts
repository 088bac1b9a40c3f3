/** What a check says: what was found, and what to do about it. */

/** WARN: it works, but not all of it. FAIL: as things are, nothing can be bound there. */
export type Verdict = 'OK' | 'WARN' | 'FAIL' | 'UNKNOWN'

/** In the order in which they are told; docs/DOCTOR.md says what each looks at. */
export const CHECKS = [
  'kernel',
  'iommu',
  'iommu-mode',
  'scalable-mode',
  'nested-tables',
  'iommu-pasids',
  'iommufd',
  'devices',
  'driver',
  'group',
  'cdev',
  'pasid-width',
  'memlock',
  'module-options',
  'reserved-window',
  'read-only-regions',
  'calls-of-2020',
  'possible',
] as const

export type CheckName = (typeof CHECKS)[number]

export interface Finding {
  readonly check: CheckName
  /** The device, by its address and its configured name, if any; empty: the host. */
  readonly subject: string
  readonly verdict: Verdict
  readonly found: string
  /** Empty: nothing needs to be done. */
  readonly remedy: string
  /** A FAIL that only another boot or another configuration cures: a daemon does not start. */
  readonly stopsStart: boolean
}

export function ok(check: CheckName, found: string, subject = ''): Finding {
  return { check, subject, verdict: 'OK', found, remedy: '', stopsStart: false }
}

/** Something that is not as it should be, and what to do. */
export function say(
  check: CheckName,
  verdict: Exclude<Verdict, 'OK'>,
  found: string,
  remedy: string,
  subject = '',
): Finding {
  return { check, subject, verdict, found, remedy, stopsStart: verdict === 'FAIL' }
}

/** It may pass while a daemon runs: a driver that is bound later, a node that comes up. */
export function passing(finding: Finding): Finding {
  return { ...finding, stopsStart: false }
}
