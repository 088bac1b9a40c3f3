// Original file: proto/pasid/v1/emulator_lab.proto

import type { Translated as _pasid_v1_Translated, Translated__Output as _pasid_v1_Translated__Output } from '../../pasid/v1/Translated.js';
import type { TranslationFault as _pasid_v1_TranslationFault, TranslationFault__Output as _pasid_v1_TranslationFault__Output } from '../../pasid/v1/TranslationFault.js';
import type { Staleness as _pasid_v1_Staleness, Staleness__Output as _pasid_v1_Staleness__Output } from '../../pasid/v1/Staleness.js';

export interface TranslateResponse {
  'translated'?: (_pasid_v1_Translated | null);
  'fault'?: (_pasid_v1_TranslationFault | null);
  'source'?: (string);
  'staleness'?: (_pasid_v1_Staleness | null);
  'outcome'?: "translated"|"fault";
}

export interface TranslateResponse__Output {
  'translated'?: (_pasid_v1_Translated__Output | null);
  'fault'?: (_pasid_v1_TranslationFault__Output | null);
  'source': (string);
  'staleness': (_pasid_v1_Staleness__Output | null);
  'outcome'?: "translated"|"fault";
}
