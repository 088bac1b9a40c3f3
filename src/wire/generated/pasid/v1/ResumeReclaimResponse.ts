// Original file: proto/pasid/v1/operator.proto


export interface ResumeReclaimResponse {
  'sessions'?: (number);
  'pasids'?: (number);
}

export interface ResumeReclaimResponse__Output {
  'sessions': (number);
  'pasids': (number);
}
