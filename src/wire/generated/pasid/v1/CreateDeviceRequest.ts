// Original file: proto/pasid/v1/emulator_lab.proto

import type { Platform as _pasid_v1_Platform, Platform__Output as _pasid_v1_Platform__Output } from '../../pasid/v1/Platform.js';
import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { PasidTranslation as _pasid_v1_PasidTranslation, PasidTranslation__Output as _pasid_v1_PasidTranslation__Output } from '../../pasid/v1/PasidTranslation.js';

export interface CreateDeviceRequest {
  'name'?: (string);
  'platform'?: (_pasid_v1_Platform);
  'scope'?: (_pasid_v1_Scope);
  'pasidBits'?: (number);
  'translation'?: (_pasid_v1_PasidTranslation);
  'shared'?: (boolean);
  'group'?: (string);
  'sourceId'?: (number);
  'ats'?: (boolean);
  'pageRequests'?: (boolean);
  '_pasidBits'?: "pasidBits";
  '_sourceId'?: "sourceId";
  '_ats'?: "ats";
  '_pageRequests'?: "pageRequests";
}

export interface CreateDeviceRequest__Output {
  'name': (string);
  'platform': (_pasid_v1_Platform__Output);
  'scope': (_pasid_v1_Scope__Output);
  'pasidBits'?: (number);
  'translation': (_pasid_v1_PasidTranslation__Output);
  'shared': (boolean);
  'group': (string);
  'sourceId'?: (number);
  'ats'?: (boolean);
  'pageRequests'?: (boolean);
  '_pasidBits'?: "pasidBits";
  '_sourceId'?: "sourceId";
  '_ats'?: "ats";
  '_pageRequests'?: "pageRequests";
}
