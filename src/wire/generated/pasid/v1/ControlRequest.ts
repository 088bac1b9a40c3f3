// Original file: proto/pasid/v1/pasid_broker.proto

import type { ControlOpen as _pasid_v1_ControlOpen, ControlOpen__Output as _pasid_v1_ControlOpen__Output } from '../../pasid/v1/ControlOpen.js';
import type { AllocatePasidsRequest as _pasid_v1_AllocatePasidsRequest, AllocatePasidsRequest__Output as _pasid_v1_AllocatePasidsRequest__Output } from '../../pasid/v1/AllocatePasidsRequest.js';
import type { FreePasidsRequest as _pasid_v1_FreePasidsRequest, FreePasidsRequest__Output as _pasid_v1_FreePasidsRequest__Output } from '../../pasid/v1/FreePasidsRequest.js';
import type { ListPasidsRequest as _pasid_v1_ListPasidsRequest, ListPasidsRequest__Output as _pasid_v1_ListPasidsRequest__Output } from '../../pasid/v1/ListPasidsRequest.js';
import type { AttachDeviceRequest as _pasid_v1_AttachDeviceRequest, AttachDeviceRequest__Output as _pasid_v1_AttachDeviceRequest__Output } from '../../pasid/v1/AttachDeviceRequest.js';
import type { DetachDeviceRequest as _pasid_v1_DetachDeviceRequest, DetachDeviceRequest__Output as _pasid_v1_DetachDeviceRequest__Output } from '../../pasid/v1/DetachDeviceRequest.js';
import type { BindPasidRequest as _pasid_v1_BindPasidRequest, BindPasidRequest__Output as _pasid_v1_BindPasidRequest__Output } from '../../pasid/v1/BindPasidRequest.js';
import type { UnbindPasidsRequest as _pasid_v1_UnbindPasidsRequest, UnbindPasidsRequest__Output as _pasid_v1_UnbindPasidsRequest__Output } from '../../pasid/v1/UnbindPasidsRequest.js';
import type { InvalidateRequest as _pasid_v1_InvalidateRequest, InvalidateRequest__Output as _pasid_v1_InvalidateRequest__Output } from '../../pasid/v1/InvalidateRequest.js';
import type { RespondPageRequestRequest as _pasid_v1_RespondPageRequestRequest, RespondPageRequestRequest__Output as _pasid_v1_RespondPageRequestRequest__Output } from '../../pasid/v1/RespondPageRequestRequest.js';
import type { GetSessionRequest as _pasid_v1_GetSessionRequest, GetSessionRequest__Output as _pasid_v1_GetSessionRequest__Output } from '../../pasid/v1/GetSessionRequest.js';
import type { InvalidateRawRequest as _pasid_v1_InvalidateRawRequest, InvalidateRawRequest__Output as _pasid_v1_InvalidateRawRequest__Output } from '../../pasid/v1/InvalidateRawRequest.js';
import type { Long } from '@grpc/proto-loader';

export interface ControlRequest {
  'id'?: (number | string | Long);
  'open'?: (_pasid_v1_ControlOpen | null);
  'allocatePasids'?: (_pasid_v1_AllocatePasidsRequest | null);
  'freePasids'?: (_pasid_v1_FreePasidsRequest | null);
  'listPasids'?: (_pasid_v1_ListPasidsRequest | null);
  'attachDevice'?: (_pasid_v1_AttachDeviceRequest | null);
  'detachDevice'?: (_pasid_v1_DetachDeviceRequest | null);
  'bindPasid'?: (_pasid_v1_BindPasidRequest | null);
  'unbindPasids'?: (_pasid_v1_UnbindPasidsRequest | null);
  'invalidate'?: (_pasid_v1_InvalidateRequest | null);
  'respondPageRequest'?: (_pasid_v1_RespondPageRequestRequest | null);
  'getSession'?: (_pasid_v1_GetSessionRequest | null);
  'invalidateRaw'?: (_pasid_v1_InvalidateRawRequest | null);
  'command'?: "open"|"allocatePasids"|"freePasids"|"listPasids"|"attachDevice"|"detachDevice"|"bindPasid"|"unbindPasids"|"invalidate"|"respondPageRequest"|"getSession"|"invalidateRaw";
}

export interface ControlRequest__Output {
  'id': (string);
  'open'?: (_pasid_v1_ControlOpen__Output | null);
  'allocatePasids'?: (_pasid_v1_AllocatePasidsRequest__Output | null);
  'freePasids'?: (_pasid_v1_FreePasidsRequest__Output | null);
  'listPasids'?: (_pasid_v1_ListPasidsRequest__Output | null);
  'attachDevice'?: (_pasid_v1_AttachDeviceRequest__Output | null);
  'detachDevice'?: (_pasid_v1_DetachDeviceRequest__Output | null);
  'bindPasid'?: (_pasid_v1_BindPasidRequest__Output | null);
  'unbindPasids'?: (_pasid_v1_UnbindPasidsRequest__Output | null);
  'invalidate'?: (_pasid_v1_InvalidateRequest__Output | null);
  'respondPageRequest'?: (_pasid_v1_RespondPageRequestRequest__Output | null);
  'getSession'?: (_pasid_v1_GetSessionRequest__Output | null);
  'invalidateRaw'?: (_pasid_v1_InvalidateRawRequest__Output | null);
  'command'?: "open"|"allocatePasids"|"freePasids"|"listPasids"|"attachDevice"|"detachDevice"|"bindPasid"|"unbindPasids"|"invalidate"|"respondPageRequest"|"getSession"|"invalidateRaw";
}
