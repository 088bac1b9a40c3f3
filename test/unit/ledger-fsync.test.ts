/**
 * A sync that fails at commit, made by a shim before libc in a process of its own. Nobody knows
 * then what is on the disk; the ledger says so, takes nothing more, and `reopen` finds it out.
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { LedgerDirectory } from '../support/ledger-home.js'

const SHIM = `
  #include <cerrno>
  #include <cstdlib>
  #include <dlfcn.h>
  #include <unistd.h>
  static bool fails() {
    const char *flag = getenv("FAIL_SYNC");
    return flag != nullptr && access(flag, F_OK) == 0;
  }
  template <typename F> static F next(const char *name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
  }
  extern "C" int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return next<int (*)(int)>("fsync")(fd);
  }
  extern "C" int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return next<int (*)(int)>("fdatasync")(fd);
  }
`

function hasCompiler(): boolean {
  try {
    execFileSync('g++', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

interface Told {
  readonly first: string
  readonly then: string
  readonly whileFailing: string
  readonly revision: number
  readonly tenants: number
  readonly last: number
}

/** A compiler run: on a busy machine more than a unit test is given otherwise. */
const TIMEOUT_MS = 60_000

test('a failed sync is an unknown outcome; reopen tells', {
  timeout: TIMEOUT_MS,
}, async (context) => {
  if (!hasCompiler()) context.skip('there is no g++ to make the shim with')
  const directory = new LedgerDirectory()
  const source = fileURLToPath(directory.script('shim.cpp', SHIM))
  const shim = join(directory.base, 'shim.so')
  execFileSync('g++', ['-shared', '-fPIC', '-O1', '-o', shim, source, '-ldl'])
  const flag = join(directory.base, 'fail')
  const body = `
    import { rmSync, writeFileSync } from 'node:fs'
    const told = (error) => error.name + ' ' + error.outcome
    const outcome = (promise) => promise.then(() => 'fine', told)
    const flag = process.env.FAIL_SYNC
    const ledger = await open()
    await ledger.append([{ revision: 1, events: [tenant(1)] }])
    writeFileSync(flag, '')
    const first = await outcome(ledger.append([{ revision: 2, events: [tenant(2)] }]))
    const then = await outcome(ledger.append([{ revision: 2, events: [tenant(2)] }]))
    const whileFailing = await outcome(ledger.reopen())
    rmSync(flag)
    const revision = await ledger.reopen()
    const tenants = (await ledger.load()).tenants.length
    await ledger.append([{ revision: revision + 1, events: [tenant(3)] }])
    await ledger.close()
    const again = await open()
    say({ first, then, whileFailing, revision, tenants, last: again.facts.revision })
    await again.close()
  `
  const told = await directory.elsewhere<Told>(body, { LD_PRELOAD: shim, FAIL_SYNC: flag })
  expect(told.first).toBe('LedgerFault UNKNOWN')
  expect(told.then).toBe('LedgerFault NOT_WRITTEN')
  expect(told.whileFailing).toBe('LedgerFault UNKNOWN')
  // Either is right, as long as the content is that of the revision.
  expect([1, 2]).toContain(told.revision)
  expect(told.tenants).toBe(told.revision)
  expect(told.last).toBe(told.revision + 1)
})
