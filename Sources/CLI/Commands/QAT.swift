import ArgumentParser
import Karat

struct QATCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qat",
    abstract: "Quantize a model and train it in the integer arithmetic that it will run in.",
    discussion: """
      A model in floating point is quantized first, by --preset or --recipe, and is the teacher of \
      what becomes of it. A model that is quantized already is trained as it is, and learns from \
      --teacher, or else from the text alone. Training that was interrupted goes on from OUTPUT.training.
      """
  )

  @Argument(help: "The model to train: in floating point, or quantized.")
  var model: String

  @Argument(help: "The folder to write.")
  var output: String

  @Option(help: "The text to learn from, which also calibrates.")
  var data: String

  @Option(help: "A recipe by name: \(Recipe.presets.map(\.name).joined(separator: ", ")).")
  var preset: String?

  @Option(help: "A recipe in YAML; it names the pass quantization-aware-training itself.")
  var recipe: String?

  @Option(help: "The model to learn from, in floating point.")
  var teacher: String?

  @Option(help: "A held-out text to verify on.")
  var heldOut: String?

  @Option(help: "The most that the perplexity may rise, such as 0.8%; asks for verifying.")
  var maxDrop: Percentage?

  @Option(help: "Decides the order of the windows; 0 unless told.")
  var seed: UInt64?

  @Flag(
    help: "Train block after block to give the states of the teacher's, one in memory at a time."
  )
  var blocks = false

  @Option(help: "By what part of itself a range changes in a step.")
  var rangeRate: Double?

  @Option(help: "By what part of a code's step a rounded weight changes in a step.")
  var codeRate: Double?

  @Option(
    help: "By what part of itself the factor of a channel changes in a step; 0 for not at all."
  )
  var channelRate: Double?

  @Option(help: "How many sequences the teacher writes, to learn on beside the text.")
  var written: Int?

  @OptionGroup var training: TrainingFlags
  @OptionGroup var options: JobOptions

  func validate() throws {
    try options.check(output)
    try Recipe.checkChoice(preset: preset, recipe: recipe)
    let rates = [rangeRate, codeRate, channelRate]
    if recipe != nil,
      blocks || seed != nil || written != nil || rates.contains(where: { $0 != nil })
        || !training.isEmpty
    {
      throw ValidationError(
        "--recipe says how the model is trained, and options of training stand beside it; give one of them."
      )
    }
  }

  func run() throws {
    var job = try options.job("qat", try chosenRecipe(), model: model, output: output)
    job.calibration = data
    job.isRecipeOwn = recipe != nil
    job.data = heldOut
    job.isVerified = maxDrop != nil || heldOut != nil
    job.maximumDrop = maxDrop?.fraction
    job.teacher = teacher
    try job.run()
  }

  private func chosenRecipe() throws -> Recipe {
    if let recipe {
      let read = try Recipe(yaml: try TextFile(recipe).text, file: recipe)
      guard read.passes.contains(where: { $0 is QuantizationAwareTraining }) else {
        throw RecipeError(
          file: recipe,
          "no pass trains. Add '\(QuantizationAwareTraining.name)', or quantize without: karat quantize."
        )
      }
      return read
    }
    var pass: QuantizationAwareTraining = blocks ? .blockByBlock : .init()
    training.apply(to: &pass.training)
    pass.rangeRate = rangeRate ?? pass.rangeRate
    pass.codeRate = codeRate ?? pass.codeRate
    pass.channelRate = channelRate ?? pass.channelRate
    pass.written = written ?? pass.written
    var chosen = Recipe(passes: [])
    if try LoadedModel.open(model).isQuantized {
      if let preset {
        throw ValidationError(
          "'\(model)' is quantized already, so --preset \(preset) has nothing to do. Leave it out, or name "
            + "the model in floating point."
        )
      }
      if teacher == nil, !blocks { (pass.teacher, pass.text) = (0, 1) }
    } else {
      chosen = Recipe.presets.first { $0.name == preset ?? "int8" }?.recipe ?? chosen
    }
    chosen.passes.append(pass)
    chosen.seed = seed ?? 0
    return chosen
  }
}

/// How a model is trained.
struct TrainingFlags: ParsableArguments {
  @Option(help: "How many steps to take.")
  var steps: Int?

  @Option(help: "How many windows a step learns from.")
  var batch: Int?

  @Option(help: "Tokens of one window to learn from.")
  var length: Int?

  @Option(help: "The highest learning rate.")
  var learningRate: Double?

  @Option(
    help: "In which numbers matrices are multiplied: f32, bf16, f16 or f8.",
    transform: arithmetic(named:)
  )
  var arithmetic: TrainingOptions.Arithmetic?

  @Flag(help: "Compute the values of each block again for their gradients, to save memory.")
  var recompute = false

  func validate() throws {
    var options = TrainingOptions()
    apply(to: &options)
    if let fault = options.fault { throw ValidationError("--" + fault) }
  }

  /// Whether nothing is said.
  var isEmpty: Bool {
    [steps, batch, length].allSatisfy { $0 == nil } && learningRate == nil && arithmetic == nil
      && !recompute
  }

  func apply(to options: inout TrainingOptions) {
    options.steps = steps ?? options.steps
    options.batch = batch ?? options.batch
    options.length = length ?? options.length
    options.learningRate = learningRate ?? options.learningRate
    options.arithmetic = arithmetic ?? options.arithmetic
    if recompute { options.recompute = true }
  }
}

func arithmetic(named name: String) throws -> TrainingOptions.Arithmetic {
  guard let arithmetic = TrainingOptions.Arithmetic(rawValue: name) else {
    throw ValidationError("--arithmetic takes f32, bf16, f16 or f8, not '\(name)'.")
  }
  return arithmetic
}
