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
  /// It keeps states.
  public static let trains = true

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
  /// By what part of a code's step a rounded weight changes in a step, at the highest learning rate, so
  /// that weights of 4 and of 8 bits learn alike; 0 for `learning-rate` itself.
  public var codeRate = 0.0
  /// By what part of itself the factor of a channel changes in a step, at the highest learning rate.
  ///
  /// Factors lie between what makes a value and the layers that read it (OmniQuant, Shao et al., 2024). 0
  /// leaves channels as they are; a sixteenth counts where the value has no static range.
  public var channelRate = 0.0
  /// Whether blocks are trained one after the other, each to give the states of the teacher's, with one
  /// in memory at a time; `steps` are then those of each block, and what judges predictions is not used.
  public var blocks = false
  /// What the divergence from the teacher is multiplied by.
  public var teacher = 1.0
  /// What the cross-entropy with the text is multiplied by.
  public var text = 0.0
  /// How many sequences the teacher writes, from beginnings of the text, for the model to learn on beside
  /// the text (Liu et al., 2024: LLM-QAT).
  public var written = 0
  /// Whether embeddings and the head learn too.
  public var embeddings = false
  /// How many of the teacher's most likely tokens are stored for each place before training; 0 to run
  /// the teacher beside it.
  public var top = 0

  enum CodingKeys: String, CodingKey, CaseIterable {
    case ranges
    case rangeRate = "range-rate"
    case codeRate = "code-rate"
    case channelRate = "channel-rate"
    case blocks, teacher, text, written, embeddings, top
  }

  /// Learned ranges, and the model that the recipe began with as the teacher.
  public init() {
    training.learningRate = 2e-5
    training.batch = 2
  }

  /// Blocks that are trained one after the other: each has little to learn, and may take larger steps.
  public static var blockByBlock: Self {
    var pass = Self()
    pass.blocks = true
    (pass.rangeRate, pass.channelRate) = (3e-2, 0.3)
    (pass.training.steps, pass.training.batch) = (120, 1)
    (pass.training.learningRate, pass.training.finalRate) = (2e-4, 0.02)
    return pass
  }

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let areBlocks = try decoder.container(keyedBy: CodingKeys.self).option(.blocks, default: false)
    self = areBlocks ? .blockByBlock : Self()
    let defaults = training
    training = try TrainingOptions(from: decoder, default: defaults)
    let options = try decoder.container(keyedBy: CodingKeys.self)
    ranges = try options.option(.ranges, default: ranges)
    rangeRate = try options.option(.rangeRate, default: rangeRate)
    codeRate = try options.option(.codeRate, default: codeRate)
    channelRate = try options.option(.channelRate, default: channelRate)
    teacher = try options.option(.teacher, default: teacher)
    text = try options.option(.text, default: text)
    written = try options.option(.written, default: written)
    embeddings = try options.option(.embeddings, default: embeddings)
    top = try options.option(.top, default: top)
  }

  /// Writes the options side by side.
  public func encode(to encoder: any Encoder) throws {
    try training.encode(to: encoder)
    var options = encoder.container(keyedBy: CodingKeys.self)
    try options.encode(ranges, forKey: .ranges)
    try options.encode(rangeRate, forKey: .rangeRate)
    try options.encode(codeRate, forKey: .codeRate)
    try options.encode(channelRate, forKey: .channelRate)
    try options.encode(blocks, forKey: .blocks)
    try options.encode(teacher, forKey: .teacher)
    try options.encode(text, forKey: .text)
    try options.encode(written, forKey: .written)
    try options.encode(embeddings, forKey: .embeddings)
    try options.encode(top, forKey: .top)
  }

  /// Gives the trained model.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    if let fault = training.fault { throw PassError(Self.name, fault) }
    try require(teacher >= 0 && text >= 0, "teacher and text are weights of losses, from 0.")
    try require(teacher + text > 0, "teacher and text are both 0, so there is nothing to learn.")
    try require(written >= 0, "written is \(written); a whole number from 0 is needed.")
    try require(
      written == 0 || !model.graph.isEncoder,
      "written is \(written), and the model is an encoder, which writes no text. Leave it out."
    )
    try require(top >= 0, "top is \(top); a whole number from 0 is needed.")
    try require(rangeRate >= 0, "range-rate is \(rangeRate); a number from 0 is needed.")
    try require(codeRate >= 0, "code-rate is \(codeRate); a number from 0 is needed.")
    try require(channelRate >= 0, "channel-rate is \(channelRate); a number from 0 is needed.")
    try require(
      !model.graph.withRoundedWeights().layers.isEmpty,
      "no layer of the model is quantized. Put 'quantize-weights' before this pass."
    )
    let session = QuantizationTraining(self, model, context)
    if blocks { return try session.trainBlocks() }
    return model.graph.isEncoder ? try session.trainEncoder() : try session.trainDecoder()
  }
}
