import KaratBytes
import KaratDatasets
public import KaratEngine
public import KaratGraphs
import KaratKernels
import KaratTensors

/// Trains a quantized model on text in the integer arithmetic that it will run in (Jacob et al., 2018):
/// gradients pass straight through the rounding (Bengio et al., 2013), and the ranges of weights and
/// activations learn too (LSQ, Esser et al., 2020; LSQ+, Bhalgat et al., 2020; PACT, Choi et al.,
/// 2018).
///
/// It follows the passes that quantize. What it gives has the bits of what was trained: the integers
/// are the same. The model that the recipe began with is the teacher, unless told otherwise.
public struct QuantizationAwareTraining: Pass {
  /// The name in recipes.
  public static let name = "quantization-aware-training"
  /// One sentence on what it does.
  public static let summary = "Train a quantized model on text, in its own integer arithmetic."
  /// The names of its options.
  public static let optionNames =
    CodingKeys.allCases.map(\.stringValue) + TrainingOptions.CodingKeys.allCases.map(\.stringValue)
  /// It learns from text.
  public static let needsCalibrationText = true

  /// How the ranges of activations and the scales of weights come about.
  public enum Ranges: String, Sendable, Hashable, Codable, CaseIterable {
    /// They learn: each step size by what rounding and clipping do to the loss (LSQ, LSQ+).
    case learned
    /// They learn by what clipping does alone (PACT).
    case clipped
    /// Those of activations follow the smallest and largest numbers for the first fifth of the steps,
    /// and then stay.
    case observed
    /// They stay as they are.
    case fixed
  }

  /// How it is trained.
  public var training = TrainingOptions()
  /// How ranges come about.
  public var ranges = Ranges.learned
  /// By what part of itself a range changes in a step, at the highest learning rate.
  public var rangeRate = 1e-3
  /// What the divergence from the teacher is multiplied by.
  public var teacher = 1.0
  /// What the cross-entropy with the text is multiplied by.
  public var text = 0.0
  /// Whether embeddings and the head learn too.
  public var embeddings = false
  /// How many of the teacher's most likely tokens are stored for each place before training; 0 to run
  /// the teacher beside it.
  public var top = 0

  enum CodingKeys: String, CodingKey, CaseIterable {
    case ranges
    case rangeRate = "range-rate"
    case teacher, text, embeddings, top
  }

  /// Learned ranges, and the model that the recipe began with as the teacher.
  public init() {
    training.learningRate = 2e-5
    training.batch = 2
  }

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    self.init()
    let defaults = training
    training = try TrainingOptions(from: decoder, default: defaults)
    let options = try decoder.container(keyedBy: CodingKeys.self)
    ranges = try options.option(.ranges, default: ranges)
    rangeRate = try options.option(.rangeRate, default: rangeRate)
    teacher = try options.option(.teacher, default: teacher)
    text = try options.option(.text, default: text)
    embeddings = try options.option(.embeddings, default: embeddings)
    top = try options.option(.top, default: top)
  }

  /// Writes the options side by side.
  public func encode(to encoder: any Encoder) throws {
    try training.encode(to: encoder)
    var options = encoder.container(keyedBy: CodingKeys.self)
    try options.encode(ranges, forKey: .ranges)
    try options.encode(rangeRate, forKey: .rangeRate)
    try options.encode(teacher, forKey: .teacher)
    try options.encode(text, forKey: .text)
    try options.encode(embeddings, forKey: .embeddings)
    try options.encode(top, forKey: .top)
  }

  /// Gives the trained model.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    if let fault = training.fault { throw PassError(Self.name, fault) }
    try require(teacher >= 0 && text >= 0, "teacher and text are weights of losses, from 0.")
    try require(teacher + text > 0, "teacher and text are both 0, so there is nothing to learn.")
    try require(top >= 0, "top is \(top); a whole number from 0 is needed.")
    try require(rangeRate >= 0, "range-rate is \(rangeRate); a number from 0 is needed.")
    try require(!model.graph.isEncoder, "encoders cannot be trained so yet; distil them.")
    let workers = context.threads.map { Workers(threads: $0) } ?? .automatic
    let quantized = try TrainableQuantization(
      model,
      counting: ranges == .clipped ? .clipping : .learnedStepSize,
      on: workers
    ) { name, graph in
      embeddings || !graph.isEmbeddingOrHead(name)
    } isRangeTrained: {
      ranges == .learned || ranges == .clipped
    }
    try require(
      !quantized.layers.isEmpty,
      "no layer of the model is quantized. Put 'quantize-weights' before this pass."
    )
    let head = try HeadLoss(quantized.graph, labelWeight: text, teacherWeight: teacher)
    let windows = try context.trainingWindows(length: training.length)
    let task = try DecoderTask(
      quantized.graph,
      quantized.parameters,
      windows: windows,
      head: head,
      teacher: try teacherTarget(context, quantized.graph, windows),
      isCheckpointing: training.recompute ?? false,
      rounding: training.rounding,
      on: workers
    )
    task.onFinish = { _ in quantized.mendRanges() }
    task.groups = quantized.groups(rangeRate: rangeRate / training.learningRate)
    if ranges == .observed {
      let layers = quantized.observed
      task.observe(Set(layers.keys)) { value, numbers in
        if let layer = layers[value] { quantized.observe(layer, numbers) }
      }
      task.remembered = quantized.remembered
      task.onBegin = { step in quantized.isFrozen = step >= max(training.steps / 5, 1) }
    }
    try Trainer.run(task, training, named: Self.name, self.json, in: context, on: workers)
    return quantized.model(from: model)
  }

  private func teacherTarget(
    _ context: PassContext,
    _ graph: Graph,
    _ windows: [[Int32]]
  ) throws -> DecoderTask.Teacher? {
    guard teacher > 0 else { return nil }
    guard let reference = context.reference else {
      throw PassError(
        Self.name,
        "there is no teacher. Name one, or learn from the text alone: teacher: 0, text: 1."
      )
    }
    return try context.teaching(
      reference,
      of: graph,
      Self.name,
      windows: windows,
      top: top
    ).target
  }
}
