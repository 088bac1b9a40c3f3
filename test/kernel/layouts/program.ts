/**
 * The tables of src/uapi/ as lines, and a C program that prints the same lines from the kernel's
 * own headers. Everything that iommufd.ts, iommufd-data.ts and vfio-cdev.ts export as a table is in
 * it.
 */
import * as iommufd from '../../../src/uapi/iommufd.js'
import * as data from '../../../src/uapi/iommufd-data.js'
import {
  type BareRequest,
  type Field,
  membersOf,
  type Request,
  type Structure,
} from '../../../src/uapi/structure.js'
import * as cdev from '../../../src/uapi/vfio-cdev.js'
import {
  VFIO_API_VERSION,
  VFIO_REQUEST,
  VFIO_TYPE1,
  VFIO_TYPE1_V2,
} from '../../../src/uapi/vfio-2020.js'

/** One thing that the headers say, too: a C expression and the value that we hold it to have. */
interface Fact {
  readonly what: string
  readonly expression: string
  readonly value: number
}

/** What belongs together: a structure, a request, the constants of a file. */
export interface Subject {
  readonly name: string
  readonly facts: readonly Fact[]
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isStructure(value: unknown): value is Structure {
  return isObject(value) && 'c' in value && 'fields' in value
}

function isRequest(value: unknown): value is Request | BareRequest {
  return isObject(value) && 'request' in value
}

function isConstants(value: unknown): value is Readonly<Record<string, number>> {
  return isObject(value) && Object.values(value).every((one) => typeof one === 'number')
}

function fact(expression: string, value: number): Fact {
  return { what: expression, expression, value }
}

function factsOf(structure: Structure): readonly Fact[] {
  const type = `struct ${structure.c}`
  const facts = [fact(`sizeof(${type})`, structure.bytes)]
  for (const { c, at, bytes } of membersOf(structure)) {
    facts.push(fact(`offsetof(${type}, ${c})`, at), fact(`sizeof(((${type} *)0)->${c})`, bytes))
  }
  for (const { c, kind } of Object.values<Field>(structure.fields)) {
    const isSigned = `((__typeof__(((${type} *)0)->${c}))-1 < 0)`
    facts.push({
      what: `${type}: ${c} has a sign`,
      expression: isSigned,
      value: kind === 's32' ? 1 : 0,
    })
  }
  return facts
}

function subjectsOf(file: string, exported: object): readonly Subject[] {
  const subjects: Subject[] = []
  for (const value of Object.values(exported)) {
    if (isStructure(value)) subjects.push({ name: value.c, facts: factsOf(value) })
    else if (isRequest(value)) {
      const facts = [fact(value.name, value.request)]
      if ('structure' in value) facts.push(...factsOf(value.structure))
      subjects.push({ name: value.name, facts })
    } else if (isConstants(value)) {
      const facts = Object.entries(value).map(([name, one]) => fact(name, one))
      subjects.push({ name: `constants of ${file}`, facts })
    }
  }
  return subjects
}

/** A form that older kernels know ends where a later member begins. */
const FORMS: Subject = {
  name: 'the forms of older kernels',
  facts: [
    fact('offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr)', cdev.BIND_IOMMUFD_BYTES),
    fact('offsetof(struct vfio_device_attach_iommufd_pt, pasid)', cdev.ATTACH_RID_BYTES),
    fact('offsetof(struct vfio_device_detach_iommufd_pt, pasid)', cdev.DETACH_RID_BYTES),
  ],
}

/** What of the container's ioctls still stands, and what two of the numbers of 2020 mean today. */
const CONTAINER: Subject = {
  name: 'a container',
  facts: [
    fact('VFIO_API_VERSION', VFIO_API_VERSION),
    fact('VFIO_GET_API_VERSION', VFIO_REQUEST.GET_API_VERSION),
    fact('VFIO_CHECK_EXTENSION', VFIO_REQUEST.CHECK_EXTENSION),
    fact('VFIO_SET_IOMMU', VFIO_REQUEST.SET_IOMMU),
    fact('VFIO_IOMMU_GET_INFO', VFIO_REQUEST.IOMMU_GET_INFO),
    fact('VFIO_TYPE1_IOMMU', VFIO_TYPE1),
    fact('VFIO_TYPE1v2_IOMMU', VFIO_TYPE1_V2),
    fact('VFIO_DEVICE_BIND_IOMMUFD', VFIO_REQUEST.PASID_REQUEST),
    fact('VFIO_DEVICE_ATTACH_IOMMUFD_PT', VFIO_REQUEST.NESTING_OP),
  ],
}

export const SUBJECTS: readonly Subject[] = [
  ...subjectsOf('iommufd.ts', iommufd),
  ...subjectsOf('iommufd-data.ts', data),
  ...subjectsOf('vfio-cdev.ts', cdev),
  FORMS,
  CONTAINER,
]

/** Prints a line for each fact of each subject: its value, in the order of the tables. */
export function programOf(subjects: readonly Subject[]): string {
  const prints = subjects
    .flatMap(({ facts }) => facts)
    .map(({ expression }) => `  printf("%lld\\n", (long long)(${expression}));`)
  return `#include <stddef.h>
#include <stdio.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

int main(void)
{
${prints.join('\n')}
  return 0;
}
`
}

/** By subject: where the headers, as the program printed them, say something else than we do. */
export function differences(
  subjects: readonly Subject[],
  printed: string,
): ReadonlyMap<string, readonly string[]> {
  const said = printed.trim().split('\n').map(Number)
  let line = 0
  const all = new Map<string, readonly string[]>()
  for (const { name, facts } of subjects) {
    const wrong: string[] = []
    for (const { what, value } of facts) {
      const real = said[line]
      line += 1
      if (real !== value) wrong.push(`${what} is ${String(real)}, and not ${value}`)
    }
    all.set(name, wrong)
  }
  if (line !== said.length) throw new Error(`${said.length} lines for ${line} facts`)
  return all
}
