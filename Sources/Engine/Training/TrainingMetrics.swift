public import KaratBytes

/// What a step of training was like.
public struct TrainingMetrics: Sendable, Hashable {
  /// The step, the first being 1.
  public let step: Int
  /// The mean of each loss.
  public let losses: [(name: String, mean: Double)]
  /// Their sum, each times its weight: what training makes small.
  public let loss: Double
  /// The learning rate.
  public let rate: Double
  /// The length of the gradient of all parameters together, before it was clipped.
  public let gradientNorm: Double
  /// How many tokens it learned from.
  public let tokens: Int
  /// How long it took, in seconds.
  public let seconds: Double
  /// What the loss was multiplied by, and whether an overflow skipped the step.
  public let lossScale: Double, isSkipped: Bool

  /// Two steps are the same where everything but their time is.
  public static func == (left: TrainingMetrics, right: TrainingMetrics) -> Bool {
    left.json(timed: false) == right.json(timed: false)
  }

  /// As equality has it.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(step)
    hasher.combine(loss)
  }

  /// One line of a metrics file.
  ///
  /// - Parameter timed: whether seconds and tokens per second are part of it.
  /// - Returns: an object with `step`, `loss`, each loss by its name, `learning_rate`,
  ///   `gradient_norm` and `tokens`.
  public func json(timed: Bool = true) -> JSONValue {
    var object = JSONObject()
    object["step"] = .number(JSONNumber(step))
    object["loss"] = .finite(loss)
    // One loss is the whole; those of one name, such as routers', are shown as their sum.
    var sums: [String: Double] = [:]
    for (name, mean) in losses where losses.count > 1 {
      sums[name, default: 0] += mean
      object[name] = .finite(sums[name] ?? 0)
    }
    object["learning_rate"] = .finite(rate)
    object["gradient_norm"] = .finite(gradientNorm)
    object["tokens"] = .number(JSONNumber(tokens))
    if lossScale != 1 { object["loss_scale"] = .finite(lossScale) }
    if isSkipped { object["skipped"] = .bool(true) }
    if timed {
      object["seconds"] = .finite(seconds)
      object["tokens_per_second"] = .finite(Double(tokens) / max(seconds, 1e-9))
    }
    return .object(object)
  }
}

extension JSONValue {
  /// A number, or null where it is none.
  fileprivate static func finite(_ number: Double) -> JSONValue {
    JSONNumber(number).map(JSONValue.number) ?? .null
  }
}
