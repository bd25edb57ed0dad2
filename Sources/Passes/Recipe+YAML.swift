import KaratBytes
import Yams

extension Recipe {
  /// Reads a recipe.
  ///
  /// - Parameters:
  ///   - yaml: the text.
  ///   - file: its name in messages.
  /// - Throws: `RecipeError` where it is not YAML, or a key or option is not known or has a value
  ///   that it cannot have.
  public init(yaml: String, file: String) throws(RecipeError) {
    let document: Node?
    do {
      document = try Yams.compose(yaml: yaml)
    } catch {
      throw RecipeError(file: file, "this is not YAML: \(error)")
    }
    guard let document else { throw RecipeError(file: file, "the recipe is empty.") }
    self = try RecipeReader(file: file).recipe(document)
  }
}

/// Reads the parts of a recipe, refusing what it does not know.
private struct RecipeReader {
  let file: String

  func recipe(_ node: Node) throws(RecipeError) -> Recipe {
    let keys = try members(
      node,
      "the recipe",
      known: [
        "version", "seed", "model", "output", "calibration", "passes", "ignore", "verify",
      ]
    )
    guard let version = keys["version"] else {
      throw fault("'version' is not there. Write: version: \(Recipe.version)")
    }
    guard version.int == Recipe.version else {
      throw fault("'version' is \(text(version)); this Karat reads version \(Recipe.version).")
    }
    guard let list = keys["passes"]?.sequence else {
      throw fault("'passes' is not a list; it names the passes in order.")
    }
    var passes: [any Pass] = []
    for entry in list { passes.append(try pass(entry)) }
    guard !passes.isEmpty else { throw fault("'passes' is empty; name at least one pass.") }

    var ignored: [String] = []
    if let node = keys["ignore"] {
      guard let patterns = node.sequence?.map(\.string), !patterns.contains(nil) else {
        throw fault("'ignore' is \(text(node)); a list of layer names or re: patterns is needed.")
      }
      ignored = patterns.compactMap(\.self)
    }
    var recipe = Recipe(passes: passes, ignored: ignored)
    if let seed = keys["seed"] {
      guard let number = UInt64(seed.string ?? "") else {
        throw fault("'seed' is \(text(seed)); a whole number from 0 is needed.")
      }
      recipe.seed = number
    }
    recipe.files.model = try path(keys["model"], "model")
    recipe.files.output = try path(keys["output"], "output")
    recipe.files.calibration = try path(keys["calibration"], "calibration")
    recipe.verification = try keys["verify"].map { node throws(RecipeError) in
      try verification(node)
    }
    return recipe
  }

  private func pass(_ node: Node) throws(RecipeError) -> any Pass {
    // A pass with all its defaults may be written as its name alone.
    let name: String
    let options: Node
    if let scalar = node.scalar {
      (name, options) = (scalar.string, Node([(Node, Node)]()))
    } else if let entry = node.mapping?.first, node.mapping?.count == 1, let key = entry.key.string
    {
      name = key
      options = entry.value.isNull ? Node([(Node, Node)]()) : entry.value
    } else {
      throw fault(
        "a pass is written as its name, or as 'name: { option: value }', not \(text(node))."
      )
    }
    guard let type = allPasses.first(where: { $0.name == name }) else {
      throw fault(
        "no pass is named '\(name)'. \(suggestion(for: name, among: allPasses.map { $0.name }))"
      )
    }
    _ = try members(options, "'\(name)'", known: type.optionNames)
    do {
      return try decode(type, options)
    } catch let DecodingError.dataCorrupted(context), let DecodingError.typeMismatch(_, context) {
      let option = context.codingPath.first?.stringValue ?? "option"
      let value = options.mapping?[Node(option)].map(text) ?? "missing"
      throw fault("'\(name)': '\(option)' is \(value). \(context.debugDescription)")
    } catch {
      throw fault("'\(name)': \(error)")
    }
  }

  private func decode<P: Pass>(_ type: P.Type, _ options: Node) throws -> P {
    let yaml = try Yams.serialize(node: options)
    return try YAMLDecoder().decode(type, from: yaml)
  }

  private func verification(_ node: Node) throws(RecipeError) -> Recipe.Verification {
    let keys = try members(node, "'verify'", known: ["max-drop", "data", "window", "windows"])
    var verification = Recipe.Verification()
    if let drop = keys["max-drop"] {
      guard let fraction = fraction(drop.string ?? "") else {
        throw fault(
          "'max-drop' is \(text(drop)); a percentage such as 0.8% or a fraction is needed."
        )
      }
      verification.maximumDrop = fraction
    }
    verification.data = try path(keys["data"], "data")
    verification.window = try keys["window"].map { node throws(RecipeError) in
      try count(node, "window", atLeast: 2)
    }
    verification.windows = try keys["windows"].map { node throws(RecipeError) in
      try count(node, "windows", atLeast: 1)
    }
    return verification
  }

  private func path(_ node: Node?, _ key: String) throws(RecipeError) -> String? {
    guard let node else { return nil }
    guard let path = node.scalar?.string, !path.isEmpty else {
      throw fault("'\(key)' is \(text(node)); the path of one file or folder is needed.")
    }
    return path
  }

  private func count(_ node: Node, _ key: String, atLeast least: Int) throws(RecipeError) -> Int {
    guard let number = node.int, number >= least else {
      throw fault("'\(key)' is \(text(node)); a whole number from \(least) is needed.")
    }
    return number
  }

  /// The members of a mapping, none twice and none unknown.
  private func members(
    _ node: Node,
    _ place: String,
    known: [String]
  ) throws(RecipeError) -> [String: Node] {
    guard let mapping = node.mapping else {
      throw fault("\(place) is \(text(node)); keys and values are needed.")
    }
    var members: [String: Node] = [:]
    for (key, value) in mapping {
      guard let name = key.string, known.contains(name) else {
        let name = key.string ?? text(key)
        throw fault("\(place) has no '\(name)'. \(suggestion(for: name, among: known))")
      }
      guard members.updateValue(value, forKey: name) == nil else {
        throw fault("\(place) has '\(name)' twice; keep one.")
      }
    }
    return members
  }

  private func text(_ node: Node) -> String {
    let yaml = (try? Yams.serialize(node: node)) ?? ""
    let line = yaml.split(separator: "\n").joined(separator: " ")
    return "'" + (line.count > 40 ? line.prefix(40) + "…" : line) + "'"
  }

  private func fault(_ message: String) -> RecipeError { RecipeError(file: file, message) }
}

extension Node {
  fileprivate var isNull: Bool { null != nil }
}

/// A fraction from text such as `0.8%` or `0.008`, or nil where it is neither.
package func fraction(_ text: String) -> Double? {
  let number = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
  return number.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
}
