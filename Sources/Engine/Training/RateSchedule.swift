import Foundation

/// The learning rate of each step: a straight line up, then down as the options say.
struct RateSchedule {
  private let options: TrainingOptions
  private let warmupSteps: Int

  init(_ options: TrainingOptions) {
    self.options = options
    warmupSteps = Int((options.warmup * Double(options.steps)).rounded(.up))
  }

  /// The rate of a step, the first being 0.
  func rate(_ step: Int) -> Double {
    let highest = options.learningRate
    if step < warmupSteps { return highest * Double(step + 1) / Double(warmupSteps) }
    let lowest = highest * options.finalRate
    // The last step has the final rate.
    let rest = max(options.steps - warmupSteps - 1, 1)
    let gone = min(Double(step - warmupSteps) / Double(rest), 1)
    switch options.decay {
    case .constant: return highest
    case .cosine: return lowest + (highest - lowest) * 0.5 * (1 + cos(Double.pi * gone))
    case .linear: return highest + (lowest - highest) * gone
    case .elastic:
      let start = Double(max(warmupSteps, 1))
      return highest * (start / (start + Double(step - warmupSteps))).squareRoot()
    }
  }
}
