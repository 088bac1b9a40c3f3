// Original file: proto/pasid/v1/pasid_broker.proto


export interface ResumeSessionRequest {
  'name'?: (string);
  'ownerToken'?: (string);
}

export interface ResumeSessionRequest__Output {
  'name': (string);
  'ownerToken': (string);
}
