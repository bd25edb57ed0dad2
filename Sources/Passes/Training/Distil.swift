public import KaratEngine
public import KaratGraphs
import KaratKernels
import KaratTensors

/// Makes a smaller student of the model and trains it to give what the model gives (Hinton et al.,
/// 2015; starting from the teacher's own weights: Sanh et al., 2019, Muralidharan et al., 2024).
///
/// A decoder learns from the teacher's distributions of the next token, an encoder from its vectors;
/// states and relations on the way there may be learned too. Labels are not needed.
public struct Distil: Pass {
  /// The name in recipes.
  public static let name = "distil"
  /// One sentence on what it does.
  public static let summary =
    "Make a smaller student of the model, and train it on what this gives."
  /// The names of its options.
  public static let optionNames =
    CodingKeys.allCases.map(\.stringValue) + TrainingOptions.CodingKeys.allCases.map(\.stringValue)
  /// It learns from text.
  public static let needsCalibrationText = true
  /// It keeps states.
  public static let trains = true

  /// By what parts of the teacher are chosen.
  public enum Choice: String, Sendable, Hashable, Codable, CaseIterable {
    /// Layers are spread evenly, of other parts the first are taken.
    case uniform
    /// What matters most to what the teacher computes on the text.
    case importance
  }

  /// How student and teacher are compared.
  public enum Comparison: String, Sendable, Hashable, Codable, CaseIterable {
    /// KL(teacher ‖ student).
    case forward
    /// KL(student ‖ teacher).
    case reverse
    /// The divergence of both from their mean (Jensen and Shannon).
    case jensenShannon = "jensen-shannon"
  }

  /// How it is trained.
  public var training = TrainingOptions()
  /// How many layers the student keeps, or nil for all.
  public var layers: Int?
  /// Which layers it keeps, counted from 0.
  public var keepLayers: [Int]?
  /// By what layers and other parts are chosen.
  public var choose = Choice.uniform
  /// Neurons of its feed-forward layers, query heads, channels, and experts, or nil for the teacher's.
  public var feedForward: Int?, heads: Int?, hidden: Int?, experts: Int?
  /// Neurons of one expert, or nil for the teacher's.
  public var expertFeedForward: Int?
  /// Neurons of the one layer that takes the place of all experts, or nil where experts stay.
  public var dense: Int?
  /// Whether experts that do not stay are merged into those whose routing is most like theirs (M-SMoE: Li
  /// et al., 2024), in the place of being left out.
  public var merge = false
  /// The student's config.json, in the place of these sizes.
  public var student: String?
  /// Whether the student of a config takes nothing from the teacher, and may be of any family: with the
  /// text alone to learn from, it is trained from scratch.
  public var fresh = false
  /// What the divergence of the next token's distributions is multiplied by; for encoders the
  /// distance of the texts' vectors.
  public var teacher = 1.0
  /// What the cross-entropy with the text is multiplied by.
  public var text = 0.0
  /// How many sequences the teacher writes, from beginnings of the text, for the student to learn on
  /// beside the text (Kim and Rush, 2016).
  public var written = 0
  /// The part of the examples of each step that the student writes itself, from the beginnings of their
  /// windows, so that it learns from its own mistakes (generalized distillation, Agarwal et al., 2024).
  public var onPolicy = 0.0
  /// How many of the teacher's most likely tokens are stored for each place before training; 0 to run
  /// the teacher beside it.
  public var top = 0
  /// What both logits are divided by.
  public var temperature = 1.0
  /// How distributions are compared.
  public var divergence = Comparison.forward
  /// What the distance of the states behind layers is multiplied by.
  public var states = 0.0
  /// How states are compared.
  public var measure = StateMeasure.cosine
  /// What the auxiliary loss that balances experts is multiplied by, and the entropy of routers.
  public var balance = 0.0, routerEntropy = 0.0
  /// How far a step moves the biases that balance experts without a loss.
  public var biasRate = 0.0
  /// What the difference of relations among queries, keys and values in the last layer is multiplied
  /// by.
  public var relations = 0.0

  /// How states are compared.
  public enum StateMeasure: String, Sendable, Hashable, Codable, CaseIterable {
    /// The mean of squared differences.
    case mse
    /// 1 − the cosine of the angle.
    case cosine
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case layers
    case keepLayers = "keep-layers"
    case choose
    case feedForward = "feed-forward"
    case expertFeedForward = "expert-feed-forward"
    case heads, hidden, experts, dense, merge, student, fresh, teacher, text, temperature,
      divergence,
      written
    case onPolicy = "on-policy"
    case top, states, measure, relations, balance
    case routerEntropy = "router-entropy"
    case biasRate = "bias-rate"
  }

  /// A student as large as the teacher, trained on its distributions.
  public init() {
    training.learningRate = 2e-4
  }

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    self.init()
    let defaults = training
    training = try TrainingOptions(from: decoder, default: defaults)
    let options = try decoder.container(keyedBy: CodingKeys.self)
    layers = try options.decodeIfPresent(Int.self, forKey: .layers)
    keepLayers = try options.decodeIfPresent([Int].self, forKey: .keepLayers)
    choose = try options.option(.choose, default: choose)
    feedForward = try options.decodeIfPresent(Int.self, forKey: .feedForward)
    expertFeedForward = try options.decodeIfPresent(Int.self, forKey: .expertFeedForward)
    heads = try options.decodeIfPresent(Int.self, forKey: .heads)
    hidden = try options.decodeIfPresent(Int.self, forKey: .hidden)
    experts = try options.decodeIfPresent(Int.self, forKey: .experts)
    dense = try options.decodeIfPresent(Int.self, forKey: .dense)
    merge = try options.option(.merge, default: merge)
    student = try options.decodeIfPresent(String.self, forKey: .student)
    fresh = try options.option(.fresh, default: fresh)
    teacher = try options.option(.teacher, default: teacher)
    text = try options.option(.text, default: text)
    temperature = try options.option(.temperature, default: temperature)
    divergence = try options.option(.divergence, default: divergence)
    written = try options.option(.written, default: written)
    onPolicy = try options.option(.onPolicy, default: onPolicy)
    top = try options.option(.top, default: top)
    states = try options.option(.states, default: states)
    measure = try options.option(.measure, default: measure)
    relations = try options.option(.relations, default: relations)
    balance = try options.option(.balance, default: balance)
    routerEntropy = try options.option(.routerEntropy, default: routerEntropy)
    biasRate = try options.option(.biasRate, default: biasRate)
  }

  /// Writes the options side by side.
  public func encode(to encoder: any Encoder) throws {
    try training.encode(to: encoder)
    var options = encoder.container(keyedBy: CodingKeys.self)
    try options.encodeIfPresent(layers, forKey: .layers)
    try options.encodeIfPresent(keepLayers, forKey: .keepLayers)
    try options.encode(choose, forKey: .choose)
    try options.encodeIfPresent(feedForward, forKey: .feedForward)
    try options.encodeIfPresent(expertFeedForward, forKey: .expertFeedForward)
    try options.encodeIfPresent(heads, forKey: .heads)
    try options.encodeIfPresent(hidden, forKey: .hidden)
    try options.encodeIfPresent(experts, forKey: .experts)
    try options.encodeIfPresent(dense, forKey: .dense)
    try options.encode(merge, forKey: .merge)
    try options.encodeIfPresent(student, forKey: .student)
    try options.encode(fresh, forKey: .fresh)
    try options.encode(teacher, forKey: .teacher)
    try options.encode(text, forKey: .text)
    try options.encode(temperature, forKey: .temperature)
    try options.encode(divergence, forKey: .divergence)
    try options.encode(written, forKey: .written)
    try options.encode(onPolicy, forKey: .onPolicy)
    try options.encode(top, forKey: .top)
    try options.encode(states, forKey: .states)
    try options.encode(measure, forKey: .measure)
    try options.encode(relations, forKey: .relations)
    try options.encode(balance, forKey: .balance)
    try options.encode(routerEntropy, forKey: .routerEntropy)
    try options.encode(biasRate, forKey: .biasRate)
  }

  /// What the student keeps of its teacher.
  var shape: StudentShape {
    let kept: StudentShape.Layers =
      if let keepLayers {
        .listed(keepLayers)
      } else if let layers {
        choose == .importance ? .important(layers) : .uniform(layers)
      } else {
        .all
      }
    var shape = StudentShape(
      layers: kept,
      feedForward: feedForward,
      expertFeedForward: expertFeedForward,
      heads: heads,
      hidden: hidden,
      experts: experts,
      dense: dense
    )
    shape.mergesExperts = merge
    return shape
  }

  /// Gives the trained student.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    if let fault = training.fault { throw PassError(Self.name, fault) }
    let weights = [teacher, text, states, relations]
    try require(weights.allSatisfy { $0 >= 0 }, "weights of losses are numbers from 0.")
    try require(
      weights.contains { $0 > 0 },
      "every loss has weight 0, so there is nothing to learn."
    )
    try require(written >= 0, "written is \(written); a whole number from 0 is needed.")
    try require(
      written == 0 || !model.graph.isEncoder,
      "written is \(written), and the teacher is an encoder, which writes no text. Leave it out."
    )
    try require(
      (0...1).contains(onPolicy),
      "on-policy is \(onPolicy); a part from 0 to 1 is needed."
    )
    try require(
      onPolicy == 0 || top == 0 && text == 0 && teacher > 0 && !model.graph.isEncoder,
      "on-policy is \(onPolicy): a decoder that writes its own text learns from a teacher that reads it."
        + " Leave out top and text, whose teacher and labels are the text's."
    )
    try require(top >= 0, "top is \(top); a whole number from 0 is needed.")
    try require(
      (1e-3...1e3).contains(temperature),
      "temperature is \(temperature); a number from 0.001 to 1000 is needed."
    )
    try require(
      !model.graph.isEncoder || text == 0 && top == 0 && temperature == 1,
      "text, top and temperature are about the next token, and the teacher is an encoder, which predicts "
        + "none. Leave them out."
    )
    try require(
      balance >= 0 && biasRate >= 0,
      "balance is \(balance) and bias-rate \(biasRate); numbers from 0 are needed."
    )
    let sizes = [layers, feedForward, expertFeedForward, heads, hidden, experts, dense]
    try require(
      student == nil || sizes.allSatisfy { $0 == nil } && keepLayers == nil,
      "student names a config, and sizes stand beside it; give one of them."
    )
    try require(
      experts == nil || dense == nil,
      "experts and dense both say what becomes of experts; give one of them."
    )
    try require(
      layers == nil || keepLayers == nil,
      "layers and keep-layers both say what stays; give one of them."
    )
    try require(
      !fresh || student != nil,
      "fresh is true: what takes nothing from its teacher needs a config. Name one: student: config.json."
    )
    try require(
      !merge || !fresh && (experts != nil || dense != nil || student != nil),
      "merge is true, and all experts stay. Say how many: experts, dense, or student for a config."
    )
    let made = try context.makeStudent(
      StudentRequest(
        shape: shape,
        config: student,
        isFresh: fresh,
        mergesExperts: merge,
        seed: context.seed,
        // Experts are merged by how tokens reach them, which nothing else can tell.
        importance: choose == .importance || dense != nil || merge
          ? try context.importance(of: model, ofLayers: layers != nil && choose == .importance)
          : nil
      )
    )
    let workers = context.threads.map { Workers(threads: $0) } ?? .automatic
    let session = DistilSession(self, teacher: model, student: made.model, made.layers, context)
    let parameters =
      model.graph.isEncoder
      ? try session.trainEncoder(on: workers) : try session.trainDecoder(on: workers)
    var result = made.model
    result.source = made.model.source.overlaid(with: parameters)
    return result
  }
}

/// What a student should be like.
public struct StudentRequest: Sendable {
  /// What it keeps of its teacher.
  public let shape: StudentShape
  /// The path of its config.json, in the place of a shape.
  public let config: String?
  /// Whether it takes nothing from its teacher.
  public let isFresh: Bool
  /// Whether experts that a student of a config has no room for are merged into others.
  public let mergesExperts: Bool
  /// Draws the numbers that the teacher has nothing for.
  public let seed: UInt64
  /// What was measured of the teacher's parts.
  public let importance: Importance?
}

/// A student before it learns.
public struct MadeStudent: Sendable {
  /// What it computes, and where its parameters come from.
  public let model: Model
  /// For each of its layers, the teacher's that it came from.
  public let layers: [Int]

  /// States a student.
  public init(model: Model, layers: [Int]) {
    self.model = model
    self.layers = layers
  }
}
