extension Reference {
  /// One step of AdamW, in double precision.
  package static func adamW(
    parameter: [Double],
    gradient: [Double],
    firstMoment: [Double],
    secondMoment: [Double],
    step: AdamWStep
  ) -> (parameter: [Double], firstMoment: [Double], secondMoment: [Double]) {
    var (parameter, firstMoment, secondMoment) = (parameter, firstMoment, secondMoment)
    for i in parameter.indices {
      let g = gradient[i] * step.gradientScale
      parameter[i] *= 1 - step.rate * step.weightDecay
      firstMoment[i] = step.beta1 * firstMoment[i] + (1 - step.beta1) * g
      secondMoment[i] = step.beta2 * secondMoment[i] + (1 - step.beta2) * g * g
      let root = secondMoment[i].squareRoot() / step.correction2.squareRoot() + step.epsilon
      parameter[i] -= step.rate / step.correction1 * firstMoment[i] / root
    }
    return (parameter, firstMoment, secondMoment)
  }

  /// One step of Lion, in double precision.
  package static func lion(
    parameter: [Double],
    gradient: [Double],
    moment: [Double],
    step: LionStep
  ) -> (parameter: [Double], moment: [Double]) {
    var (parameter, moment) = (parameter, moment)
    for i in parameter.indices {
      let g = gradient[i] * step.gradientScale
      let direction = step.beta1 * moment[i] + (1 - step.beta1) * g
      let sign: Double = direction > 0 ? 1 : direction < 0 ? -1 : 0
      parameter[i] -= step.rate * (sign + step.weightDecay * parameter[i])
      moment[i] = step.beta2 * moment[i] + (1 - step.beta2) * g
    }
    return (parameter, moment)
  }
}
