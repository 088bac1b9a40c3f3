// Original file: proto/pasid/v1/types.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { PasidTranslation as _pasid_v1_PasidTranslation, PasidTranslation__Output as _pasid_v1_PasidTranslation__Output } from '../../pasid/v1/PasidTranslation.js';
import type { Platform as _pasid_v1_Platform, Platform__Output as _pasid_v1_Platform__Output } from '../../pasid/v1/Platform.js';
import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from '../../pasid/v1/HwInfo.js';

export interface Device {
  'name'?: (string);
  'scope'?: (_pasid_v1_Scope);
  'pasidBits'?: (number);
  'translation'?: (_pasid_v1_PasidTranslation);
  'platform'?: (_pasid_v1_Platform);
  'shared'?: (boolean);
  'addressWidths'?: (number)[];
  'supervisorRequests'?: (boolean);
  'extendedAccessed'?: (boolean);
  'passThrough'?: (boolean);
  'hitlessReplace'?: (boolean);
  'pageRequests'?: (boolean);
  'present'?: (boolean);
  'sessions'?: (string)[];
  'group'?: (string);
  'hwInfo'?: (_pasid_v1_HwInfo | null);
  'handedOver'?: (boolean);
}

export interface Device__Output {
  'name': (string);
  'scope': (_pasid_v1_Scope__Output);
  'pasidBits': (number);
  'translation': (_pasid_v1_PasidTranslation__Output);
  'platform': (_pasid_v1_Platform__Output);
  'shared': (boolean);
  'addressWidths': (number)[];
  'supervisorRequests': (boolean);
  'extendedAccessed': (boolean);
  'passThrough': (boolean);
  'hitlessReplace': (boolean);
  'pageRequests': (boolean);
  'present': (boolean);
  'sessions': (string)[];
  'group': (string);
  'hwInfo': (_pasid_v1_HwInfo__Output | null);
  'handedOver': (boolean);
}
