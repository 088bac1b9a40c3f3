// Original file: proto/pasid/v1/emulator_lab.proto

import type { Translated as _pasid_v1_Translated, Translated__Output as _pasid_v1_Translated__Output } from '../../pasid/v1/Translated.js';
import type { TranslationFault as _pasid_v1_TranslationFault, TranslationFault__Output as _pasid_v1_TranslationFault__Output } from '../../pasid/v1/TranslationFault.js';
import type { NeededInvalidation as _pasid_v1_NeededInvalidation, NeededInvalidation__Output as _pasid_v1_NeededInvalidation__Output } from '../../pasid/v1/NeededInvalidation.js';

export interface Staleness {
  'translated'?: (_pasid_v1_Translated | null);
  'fault'?: (_pasid_v1_TranslationFault | null);
  'difference'?: (string);
  'needed'?: (_pasid_v1_NeededInvalidation)[];
  'tablesSay'?: "translated"|"fault";
}

export interface Staleness__Output {
  'translated'?: (_pasid_v1_Translated__Output | null);
  'fault'?: (_pasid_v1_TranslationFault__Output | null);
  'difference': (string);
  'needed': (_pasid_v1_NeededInvalidation__Output)[];
  'tablesSay'?: "translated"|"fault";
}
