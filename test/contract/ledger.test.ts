/** The SQLite ledger keeps the ledger's contract. */

import { LedgerDirectory } from '../support/ledger-home.js'
import { ledgerContract } from './ledger.js'

ledgerContract('SQLite', () => {
  const directory = new LedgerDirectory()
  return {
    open: ({ bootId = 'boot-1' } = {}) => directory.open({ bootId }),
    openElsewhere: () =>
      directory.elsewhere(`
        try {
          const ledger = await open()
          await ledger.close()
          say({ opened: true, told: '' })
        } catch (error) {
          say({ opened: false, told: error.message })
        }`),
  }
})
