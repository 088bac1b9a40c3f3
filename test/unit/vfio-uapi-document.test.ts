/** docs/VFIO_UAPI.md against the code: which refusal is which errno, both ways; the numbers. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { REFUSAL_ERRNO } from '../../src/service/vfio/errno.js'
import { ERRNO } from '../../src/uapi/errno.js'
import { VFIO_REQUEST } from '../../src/uapi/vfio-2020.js'

const file = path.resolve(import.meta.dirname, '../../docs/VFIO_UAPI.md')
const document = fs.readFileSync(file, 'utf8')

test('each refusal has the errno that the document says', () => {
  const [, table = ''] = document.split('## Refusals of the broker')
  const told: Record<string, number> = {}
  for (const [, reasons = '', errno = ''] of table.matchAll(/^\| (`.*`) \| (E[A-Z]+) \|$/gm)) {
    for (const [, reason = ''] of reasons.matchAll(/`([A-Z_]+)`/g)) {
      expect(told[reason], `${reason} is there twice`).toBeUndefined()
      told[reason] = ERRNO[errno as keyof typeof ERRNO]
    }
  }
  const coded = Object.entries(REFUSAL_ERRNO).filter(([, errno]) => errno !== 'STATUS')
  expect(told).toEqual(Object.fromEntries(coded))
})

test('the document has the number of each call, and no other', () => {
  const rows = [...document.matchAll(/^\| `VFIO_\w+` \| 0x([0-9a-f]{4}) \|/gm)]
  const numbers = rows.map(([, number = '']) => parseInt(number, 16))
  expect(numbers.sort()).toEqual(Object.values(VFIO_REQUEST).sort())
})
