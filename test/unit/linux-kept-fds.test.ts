/** What the service manager passes at start, in processes that are started as it starts them. */
import fs from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { takeKeptFds } from '../../src/linux/kept-fds.js'
import { type Child, LinuxCopy, temporaryFolder } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

/** Node's own descriptors come after those that are passed. */
function passed(assignments: string, body: string): Child {
  const folder = temporaryFolder()
  const [one, two] = [`${folder}/one`, `${folder}/two`]
  for (const path of [one, two]) fs.writeFileSync(path, path)
  const script = `${assignments} exec "$@" 3<${one} 4<${two}`
  return new LinuxCopy().run(
    `
    import fs from 'node:fs'
    import { spawnSync } from 'node:child_process'
    import { takeKeptFds } from './src/linux/kept-fds.js'
    const claims = () => Object.keys(process.env).filter((name) => name.startsWith('LISTEN_'))
    const read = ({ name, fd }) => name + '=' + fs.readFileSync(fd.number, 'utf8').split('/').at(-1)
    ${body}
  `,
    { before: ['sh', '-c', script, 'sh'] },
  )
}

describe('descriptors that were kept', () => {
  test('are taken with their names, once', async () => {
    const child = passed(
      'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=fault:device-1 LISTEN_PIDFDID=1',
      `
      const kept = takeKeptFds()
      console.log(kept.map(read).join(' '), kept.map(({ fd }) => fd.number).join(' '))
      console.log(claims().length, takeKeptFds().length)
      for (const { fd } of kept) fd.close()
      console.log(fs.existsSync('/proc/self/fd/4'))
    `,
    )
    expect(await child.line()).toBe('fault=one device-1=two 3 4')
    expect(await child.line()).toBe('0 0')
    expect(await child.line()).toBe('false')
  })
  test('are not passed on to children', async () => {
    const child = passed(
      'LISTEN_PID=$$ LISTEN_FDS=2',
      `
      console.log(takeKeptFds().map(read).join(' '))
      const inherited = (env) => spawnSync('sh', ['-c', 'ls /proc/self/fd; env'], { env, encoding: 'utf8' })
      const { stdout } = inherited(process.env)
      console.log(/^LISTEN/m.test(stdout), /^4$/m.test(stdout))
    `,
    )
    expect(await child.line()).toBe('unknown=one unknown=two')
    expect(await child.line()).toBe('false false')
  })
  test('may have one name, or an empty one', async () => {
    const child = passed(
      'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=same:same',
      `console.log(takeKeptFds().map(read).join(' '))`,
    )
    expect(await child.line()).toBe('same=one same=two')
    const empty = passed(
      'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=:b',
      `console.log(takeKeptFds().map(read).join(' '))`,
    )
    expect(await empty.line()).toBe('=one b=two')
  })
  test.each([
    'LISTEN_PID=1 LISTEN_FDS=2',
    'LISTEN_PID= LISTEN_FDS=2',
    'LISTEN_FDS=2',
    'LISTEN_PID=$$',
    'LISTEN_PID=$$ LISTEN_FDS=0',
    'LISTEN_PID=$$ LISTEN_FDS=-1',
    'LISTEN_PID=$$ LISTEN_FDS=2x',
    'LISTEN_PID=$$ LISTEN_FDS=1e1',
    'LISTEN_PID=$$ LISTEN_FDS=65537',
    'LISTEN_PID=$$ LISTEN_FDS=99999999999999999999',
    'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=one',
    'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b:c',
    'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=',
  ])('are not taken where it says %s', (assignments) => {
    const pairs = assignments.split(' ').map((pair): [string, string] => {
      const [name = '', value = ''] = pair.split('=')
      return [name, value.replace('$$', String(process.pid))]
    })
    const env = { ...Object.fromEntries(pairs), OTHER: 'stays' }
    expect(takeKeptFds(env)).toEqual([])
    expect(env).toEqual({ OTHER: 'stays' })
  })
  test('are not taken where one of them is not there', () => {
    const env = { LISTEN_PID: String(process.pid), LISTEN_FDS: '5000' }
    expect(takeKeptFds(env)).toEqual([])
  })
})
