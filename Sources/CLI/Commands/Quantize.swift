import ArgumentParser
import Foundation
import Karat

struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Make a smaller, faster model by rounding it to INT8.",
    discussion: """
      With --max-drop, the result is verified: on --data, or else on the last fifth of the \
      calibration text, which is then not calibrated on. A result that fails is not written.
      """
  )

  @Argument(help: "The model to quantize.")
  var model: String

  @Argument(help: "The folder to write.")
  var output: String

  @Option(
    help: "A text like those that the model will read; its token ids where the name ends in .ids."
  )
  var calibration: String?

  @Option(help: "A recipe by name: \(Recipe.presets.map(\.name).joined(separator: ", ")).")
  var preset: String?

  @Option(help: "A recipe in YAML.")
  var recipe: String?

  @Option(help: "The most that the perplexity may rise, such as 0.8%.")
  var maxDrop: Percentage?

  @Option(help: "A held-out text to verify on.")
  var data: String?

  @OptionGroup var options: JobOptions

  func validate() throws {
    try options.check(output)
    try Recipe.checkChoice(preset: preset, recipe: recipe)
  }

  func run() throws {
    var job = try options.job("quantize", try chosenRecipe(), model: model, output: output)
    job.calibration = calibration
    job.isRecipeOwn = recipe != nil
    job.data = data
    job.isVerified = maxDrop != nil || data != nil
    job.maximumDrop = maxDrop?.fraction
    try job.run()
  }

  private func chosenRecipe() throws -> Recipe {
    if let recipe {
      return try Recipe(yaml: try TextFile(recipe).text, file: recipe)
    }
    let name = preset ?? "int8"
    let found = Recipe.presets.first { $0.name == name }?.recipe
    return found ?? Recipe(passes: [])
  }
}

extension Recipe {
  /// Checks that the user names one recipe at most, and one that is there.
  static func checkChoice(preset: String?, recipe: String?) throws {
    if preset != nil, recipe != nil {
      throw ValidationError("--preset and --recipe name two recipes; give one of them.")
    }
    if let preset, !presets.contains(where: { $0.name == preset }) {
      let known = presets.map(\.name)
      throw ValidationError(
        "no preset is named '\(preset)'. \(suggestion(for: preset, among: known))"
      )
    }
  }
}

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Follow a recipe: passes in order, the verifier after each.",
    discussion:
      "The recipe names the model, the output, and the texts; paths are relative to where the "
      + "command runs. It stops at the first pass whose result fails, and writes nothing then."
  )

  @Argument(help: "A recipe in YAML.")
  var recipe: String

  @Option(
    help: "Write a page about the run: what was trained, step by step, and what the verifier found."
  )
  var report: String?

  @OptionGroup var options: OutputOptions
  @OptionGroup var resources: RunOptions
  @OptionGroup var memory: MemoryOptions

  func run() throws {
    let parsed = try Recipe(yaml: try TextFile(recipe).text, file: recipe)
    guard let model = parsed.files.model, let output = parsed.files.output else {
      throw RecipeError(
        file: recipe,
        "'model' and 'output' say what is read and where the result goes; both are needed."
      )
    }
    let form = try FormOptions.form(of: output)
    guard form != .safetensors else {
      throw RecipeError(
        file: recipe,
        "'output' is '\(output)', which would hold the tensors alone, and nothing would say what they "
          + "mean. Name a folder or a .kcf file."
      )
    }
    try options.checkShards(of: output, as: form)
    var job = RecipeJob(
      model: model,
      output: output,
      recipe: parsed,
      command: "run",
      form: form,
      writer: options.writer
    )
    job.calibration = parsed.files.calibration
    job.data = parsed.verification?.data
    job.isVerified = true
    job.maximumDrop = parsed.verification?.maximumDrop
    job.windows.length = parsed.verification?.window ?? job.windows.length
    job.windows.limit = parsed.verification?.windows
    job.threads = resources.threads
    job.memory = memory
    (job.report, job.isReplacing) = (report, options.force)
    try job.run()
  }
}
