/** `list`, `sessions`, `tenants`, `devices`, `reservations`: many things, page by page. */

import {
  ALLOCATION_COLUMNS,
  LISTED_DEVICE_COLUMNS,
  RESERVATION_COLUMNS,
  SESSION_COLUMNS,
  TENANT_COLUMNS,
} from '../columns.js'
import { writeRows, type Column } from '../rows.js'
import type { ListOptions, Work } from '../settings.js'

export function writeList<Row>(
  { output, format }: Work,
  pages: AsyncIterable<readonly Row[]>,
  columns: readonly Column<Row>[],
  { limit }: ListOptions,
): Promise<void> {
  return writeRows(output, pages, columns, { format, limit: limit ?? Number.POSITIVE_INFINITY })
}

/** A page never asks for more rows than are shown. */
export function pageOf({ pageSize, limit, filter }: ListOptions) {
  return { pageSize: Math.min(pageSize, limit ?? pageSize), filter }
}

export function list(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.allocations(pageOf(options)), ALLOCATION_COLUMNS, options)
}

export function sessions(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.sessions(pageOf(options)), SESSION_COLUMNS, options)
}

export function tenants(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.tenants(pageOf(options)), TENANT_COLUMNS, options)
}

export function devices(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.devices(pageOf(options)), LISTED_DEVICE_COLUMNS, options)
}

export function reservations(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.reservations(pageOf(options)), RESERVATION_COLUMNS, options)
}
