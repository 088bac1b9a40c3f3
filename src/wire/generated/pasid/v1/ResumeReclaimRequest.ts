// Original file: proto/pasid/v1/operator.proto


export interface ResumeReclaimRequest {
  'reason'?: (string);
}

export interface ResumeReclaimRequest__Output {
  'reason': (string);
}
