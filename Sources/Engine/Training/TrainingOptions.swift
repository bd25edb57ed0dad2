package import KaratGraphs

/// How a model is trained: the optimizer, its rate, and how much is learned from at a time.
public struct TrainingOptions: Sendable, Hashable, Codable {
  /// How gradients become steps.
  public enum Method: String, Sendable, Hashable, Codable, CaseIterable {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    case adamW = "adamw"
    /// The sign of a momentum (Chen et al., 2023); rates are about a tenth of AdamW's.
    case lion
  }

  /// How the rate falls behind the warm-up.
  public enum Decay: String, Sendable, Hashable, Codable, CaseIterable {
    /// It does not.
    case constant
    /// Half a cosine down to the final rate (Loshchilov and Hutter, 2017).
    case cosine
    /// A straight line down to the final rate.
    case linear
    /// One over the root of the step, whatever the number of steps: training may go on (Vaswani et
    /// al., 2017).
    case elastic
  }

  /// In which numbers matrices are multiplied; parameters and sums are float32 always.
  public enum Arithmetic: String, Sendable, Hashable, Codable, CaseIterable {
    /// Float32.
    case f32
    /// Factors are rounded to BF16.
    case bf16
    /// Factors are rounded to F16; the loss is scaled so that gradients keep their bits (Micikevicius
    /// et al., 2018).
    case f16
    /// Factors are rounded to FP8 with a scale for each: E4M3 forward, E5M2 for gradients
    /// (Micikevicius et al., 2022).
    case f8
  }

  /// How many steps are taken.
  public var steps = 200
  /// How many windows, or texts, one step learns from.
  public var batch = 4
  /// How many of them run at a time, gradients adding up over a step; nil for as many as have 2,048
  /// tokens together.
  public var microBatch: Int?
  /// Tokens of one window.
  public var length = 512
  /// How gradients become steps.
  public var optimizer = Method.adamW
  /// The highest rate, reached at the end of the warm-up.
  public var learningRate = 1e-4
  /// The part of the steps in which the rate rises from zero.
  public var warmup = 0.05
  /// How it falls from there.
  public var decay = Decay.cosine
  /// Where it ends, as a part of the highest.
  public var finalRate = 0.1
  /// The optimizers' memories of gradients.
  public var beta1 = 0.9, beta2 = 0.999
  /// Keeps AdamW's division finite.
  public var epsilon = 1e-8
  /// The part of a weight, times the rate, that each step takes away; norms, biases and scales are
  /// spared.
  public var weightDecay = 0.0
  /// The longest that the gradient of all parameters together may be; 0 for any length.
  public var clip = 1.0
  /// In which numbers matrices are multiplied.
  public var arithmetic = Arithmetic.f32
  /// Whether blocks are computed again for their gradients to save memory; nil for where memory would
  /// not suffice otherwise.
  public var recompute: Bool?
  /// After how many steps each the state is written, to go on from after an interruption; 0 for never.
  public var saveEvery = 100
  /// How many of these states are kept.
  public var keep = 2

  /// The defaults.
  public init() {}

  /// The names in recipes, in kebab-case.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case steps, batch
    case microBatch = "micro-batch"
    case length, optimizer
    case learningRate = "learning-rate"
    case warmup, decay
    case finalRate = "final-rate"
    case beta1, beta2, epsilon
    case weightDecay = "weight-decay"
    case clip, arithmetic, recompute
    case saveEvery = "save-every"
    case keep
  }

  /// Reads what is there and leaves the rest at its defaults.
  public init(from decoder: any Decoder) throws {
    try self.init(from: decoder, default: TrainingOptions())
  }

  /// Reads what is there and leaves the rest as other options have it.
  public init(from decoder: any Decoder, default other: TrainingOptions) throws {
    self = other
    let options = try decoder.container(keyedBy: CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ value: inout T) throws {
      value = try options.decodeIfPresent(T.self, forKey: key) ?? value
    }
    try read(.steps, &steps)
    try read(.batch, &batch)
    microBatch = try options.decodeIfPresent(Int.self, forKey: .microBatch) ?? microBatch
    try read(.length, &length)
    try read(.optimizer, &optimizer)
    try read(.learningRate, &learningRate)
    try read(.warmup, &warmup)
    try read(.decay, &decay)
    try read(.finalRate, &finalRate)
    try read(.beta1, &beta1)
    try read(.beta2, &beta2)
    try read(.epsilon, &epsilon)
    try read(.weightDecay, &weightDecay)
    try read(.clip, &clip)
    try read(.arithmetic, &arithmetic)
    recompute = try options.decodeIfPresent(Bool.self, forKey: .recompute) ?? recompute
    try read(.saveEvery, &saveEvery)
    try read(.keep, &keep)
  }

  /// In which numbers matrices are multiplied, or nil for float32.
  package var rounding: Rounding? {
    switch arithmetic {
    case .f32: nil
    case .bf16: .bfloat16
    case .f16: .float16
    case .f8: .float8
    }
  }

  /// What is wrong with the options, or nil where they can be followed.
  package var fault: String? {
    let counts = [
      ("steps", steps, 1), ("batch", batch, 1), ("micro-batch", microBatch ?? 1, 1),
      ("length", length, 2), ("save-every", saveEvery, 0), ("keep", keep, 1),
    ]
    for (name, count, least) in counts where count < least {
      return "\(name) is \(count); a whole number from \(least) is needed."
    }
    let positive = [("learning-rate", learningRate), ("epsilon", epsilon)]
    for (name, number) in positive where !(number > 0 && number.isFinite) {
      return "\(name) is \(number); a positive number is needed."
    }
    let fractions = [
      ("warmup", warmup), ("final-rate", finalRate), ("beta1", beta1), ("beta2", beta2),
    ]
    for (name, number) in fractions where !(0...1).contains(number) {
      return "\(name) is \(number); a number from 0 to 1 is needed."
    }
    for (name, number) in [("weight-decay", weightDecay), ("clip", clip)]
    where !(number >= 0 && number.isFinite) {
      return "\(name) is \(number); a number from 0 is needed."
    }
    return nil
  }
}
