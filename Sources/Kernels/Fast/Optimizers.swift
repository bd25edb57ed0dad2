import CKernels

/// One step of AdamW (Loshchilov and Hutter, 2019), with the terms of PyTorch.
package struct AdamWStep: Sendable, Hashable {
  /// The learning rate.
  package var rate: Double
  /// How much of the first and of the second moment is kept.
  package var beta1, beta2: Double
  /// What is added to the root of the second moment.
  package var epsilon: Double
  /// How much of a parameter decays, times the rate.
  package var weightDecay: Double
  /// 1 − beta1^t and 1 − beta2^t in step t, counted from 1.
  package var correction1, correction2: Double
  /// What gradients are multiplied by first: for clipping, and for sums that shall be means.
  package var gradientScale: Double

  /// States all terms.
  package init(
    rate: Double,
    beta1: Double,
    beta2: Double,
    epsilon: Double,
    weightDecay: Double,
    correction1: Double,
    correction2: Double,
    gradientScale: Double = 1
  ) {
    self.rate = rate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.correction1 = correction1
    self.correction2 = correction2
    self.gradientScale = gradientScale
  }

  var kernelStep: karat_adamw {
    karat_adamw(
      gradient_scale: Float(gradientScale),
      keep: Float(1 - rate * weightDecay),
      beta1: Float(beta1),
      fresh1: Float(1 - beta1),
      beta2: Float(beta2),
      fresh2: Float(1 - beta2),
      step: Float(rate / correction1),
      root_scale: Float(1 / correction2.squareRoot()),
      epsilon: Float(epsilon)
    )
  }
}

/// Steps a parameter by AdamW, renews its moments, and sets its gradient to zero, in one pass.
///
/// With g = gradientScale · gradient: p *= 1 − rate · weightDecay; m = beta1 m + (1 − beta1) g;
/// v = beta2 v + (1 − beta2) g²; p −= rate / correction1 · m / (√v / √correction2 + epsilon). All
/// hold `count` elements.
package func adamW(
  parameter: UnsafeMutablePointer<Float>,
  gradient: UnsafeMutablePointer<Float>,
  firstMoment: UnsafeMutablePointer<Float>,
  secondMoment: UnsafeMutablePointer<Float>,
  count: Int,
  step: AdamWStep,
  on workers: Workers
) {
  let kernelStep = step.kernelStep
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    withUnsafePointer(to: kernelStep) {
      kernels.adamw(
        $0,
        parameter + first,
        gradient + first,
        firstMoment + first,
        secondMoment + first,
        run.count
      )
    }
  }
}

/// One step of Lion (Chen et al., 2023).
package struct LionStep: Sendable, Hashable {
  /// The learning rate.
  package var rate: Double
  /// How much of the moment is kept in the direction of the step, and in the next moment.
  package var beta1, beta2: Double
  /// How much of a parameter decays, times the rate.
  package var weightDecay: Double
  /// What gradients are multiplied by first: for clipping, and for sums that shall be means.
  package var gradientScale: Double

  /// States all terms.
  package init(
    rate: Double,
    beta1: Double,
    beta2: Double,
    weightDecay: Double,
    gradientScale: Double = 1
  ) {
    self.rate = rate
    self.beta1 = beta1
    self.beta2 = beta2
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
  }

  var kernelStep: karat_lion {
    karat_lion(
      gradient_scale: Float(gradientScale),
      keep: Float(1 - rate * weightDecay),
      beta1: Float(beta1),
      fresh1: Float(1 - beta1),
      beta2: Float(beta2),
      fresh2: Float(1 - beta2),
      rate: Float(rate)
    )
  }
}

/// Steps a parameter by Lion, renews its moment, and sets its gradient to zero, in one pass.
///
/// With g = gradientScale · gradient: p −= rate · (sign(beta1 m + (1 − beta1) g) + weightDecay p);
/// m = beta2 m + (1 − beta2) g. All hold `count` elements.
package func lion(
  parameter: UnsafeMutablePointer<Float>,
  gradient: UnsafeMutablePointer<Float>,
  moment: UnsafeMutablePointer<Float>,
  count: Int,
  step: LionStep,
  on workers: Workers
) {
  let kernelStep = step.kernelStep
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    withUnsafePointer(to: kernelStep) {
      kernels.lion($0, parameter + first, gradient + first, moment + first, run.count)
    }
  }
}

/// The sum of the squares of elements, kept in double precision; finite where all elements are, and
/// only there.
package func sumOfSquares(
  _ x: UnsafePointer<Float>,
  count: Int,
  on workers: Workers
) -> Double {
  let runs = (count + elementsPerTile - 1) / elementsPerTile
  return withUnsafeTemporaryAllocation(of: Double.self, capacity: runs) { sums in
    guard let base = sums.baseAddress else { return 0 }
    workers.forEachRun(of: elementsPerTile, in: count) { run in
      base[run.lowerBound / elementsPerTile] = kernels.sum_of_squares(x + run.lowerBound, run.count)
    }
    return sums.reduce(0, +)
  }
}
